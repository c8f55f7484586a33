package main

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// column returns a value of a column as the answers have it.
func column(kind string, value any) string {
	text := plain(value)
	if strings.HasPrefix(strings.TrimPrefix(kind, "Nullable("), "Date") && !strings.Contains(kind, "DateTime") {
		return strings.TrimSuffix(text, " 00:00:00")
	}
	if named, is := value.(map[string]any); is && strings.HasPrefix(kind, "Tuple(") {
		keys := []string{}
		for key := range named {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		values := make([]any, len(keys))
		for i, key := range keys {
			values[i] = named[key]
		}
		return plain(values)
	}
	return text
}

// plain returns a value without its column's type as the answers have it.
func plain(value any) string {
	switch typed := value.(type) {
	case nil:
		return "NULL"
	case string:
		return typed
	case bool:
		return strconv.FormatBool(typed)
	case *time.Time:
		if typed == nil {
			return "NULL"
		}
		return plain(*typed)
	case time.Time:
		return typed.UTC().Format("2006-01-02 15:04:05.999999999")
	case decimal.Decimal:
		return typed.String()
	}
	found := reflect.ValueOf(value)
	if found.Kind() == reflect.Pointer && found.IsNil() {
		return "NULL"
	}
	if text, is := value.(fmt.Stringer); is { // UUID, IP address, big integer
		return text.String()
	}
	switch found.Kind() {
	case reflect.Pointer:
		return plain(found.Elem().Interface())
	case reflect.Float32:
		return strconv.FormatFloat(found.Float(), 'f', -1, 32)
	case reflect.Float64:
		return strconv.FormatFloat(found.Float(), 'f', -1, 64)
	case reflect.Slice, reflect.Array:
		parts := make([]string, found.Len())
		for i := range parts {
			parts[i] = plain(found.Index(i).Interface())
		}
		return "[" + strings.Join(parts, ",") + "]"
	case reflect.Map:
		parts := []string{}
		for _, key := range found.MapKeys() {
			parts = append(parts, plain(key.Interface())+":"+plain(found.MapIndex(key).Interface()))
		}
		sort.Strings(parts)
		return "{" + strings.Join(parts, ",") + "}"
	}
	return fmt.Sprint(value)
}
