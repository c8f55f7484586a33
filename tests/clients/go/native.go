package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

type native struct{ connection driver.Conn }

func open(given options) (asked, error) {
	chosen := &clickhouse.Options{
		Addr:        []string{given.Address},
		Auth:        clickhouse.Auth{Username: given.User, Password: given.Password},
		Protocol:    map[string]clickhouse.Protocol{"native": clickhouse.Native, "http": clickhouse.HTTP}[given.Protocol],
		DialTimeout: 10 * time.Second,
		ReadTimeout: 60 * time.Second,
	}
	switch given.Compress {
	case "lz4":
		chosen.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	case "zstd":
		chosen.Compression = &clickhouse.Compression{Method: clickhouse.CompressionZSTD}
	case "gzip":
		chosen.Compression = &clickhouse.Compression{Method: clickhouse.CompressionGZIP, Level: 3}
	}
	if given.API == "database/sql" {
		return &standard{clickhouse.OpenDB(chosen)}, nil
	}
	connection, err := clickhouse.Open(chosen)
	return &native{connection}, err
}

// A parameter is read by the server as a field of TSV is; this client leaves that escaping to its user.
var escaped = strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\t", "\\t")

func with(one request) context.Context {
	chosen := []clickhouse.QueryOption{}
	if len(one.Params) > 0 {
		parameters := clickhouse.Parameters{}
		for name, value := range one.Params {
			parameters[name] = escaped.Replace(value)
		}
		chosen = append(chosen, clickhouse.WithParameters(parameters))
	}
	if len(one.Settings) > 0 {
		settings := clickhouse.Settings{}
		for name, value := range one.Settings {
			settings[name] = value
		}
		chosen = append(chosen, clickhouse.WithSettings(settings))
	}
	return clickhouse.Context(context.Background(), chosen...)
}

func (client *native) ask(one request) (answer, error) {
	rows, err := client.connection.Query(with(one), one.SQL)
	if err != nil {
		return answer{}, err
	}
	defer rows.Close()
	found := [][]string{}
	kinds := []string{}
	for _, each := range rows.ColumnTypes() {
		kinds = append(kinds, each.DatabaseTypeName())
	}
	for rows.Next() {
		values := targets(rows)
		if err := rows.Scan(values...); err != nil {
			return answer{}, err
		}
		row := make([]string, len(values))
		for i, value := range values {
			row[i] = column(kinds[i], reflect.ValueOf(value).Elem().Interface())
		}
		found = append(found, row)
	}
	return answer{Types: kinds, Rows: found}, rows.Err()
}

func targets(rows driver.Rows) []any {
	values := make([]any, len(rows.ColumnTypes()))
	for i, each := range rows.ColumnTypes() {
		values[i] = reflect.New(each.ScanType()).Interface()
	}
	return values
}

func (client *native) digest(one request) (answer, error) {
	rows, err := client.connection.Query(with(one), one.Digest)
	if err != nil {
		return answer{}, err
	}
	defer rows.Close()
	total := answer{Words: map[string]int{}}
	count := 0
	for rows.Next() {
		var number uint64
		var word string
		var half float64
		if err := rows.Scan(&number, &word, &half); err != nil {
			return answer{}, err
		}
		count++
		total.Sum += number
		total.Words[word]++
	}
	total.Rows = count
	return total, rows.Err()
}

func (client *native) fill(one request) (answer, error) {
	rows, err := client.connection.Query(context.Background(), "SELECT * FROM "+one.Source)
	if err != nil {
		return answer{}, err
	}
	defer rows.Close()
	batch, err := client.connection.PrepareBatch(context.Background(), "INSERT INTO "+one.Target)
	if err != nil {
		return answer{}, err
	}
	for rows.Next() {
		values := targets(rows)
		if err := rows.Scan(values...); err != nil {
			return answer{}, err
		}
		row := make([]any, len(values))
		for i, value := range values {
			row[i] = reflect.ValueOf(value).Elem().Interface()
		}
		if err := batch.Append(row...); err != nil {
			return answer{}, err
		}
	}
	if err := rows.Err(); err != nil {
		return answer{}, err
	}
	return answer{Rows: batch.Rows()}, batch.Send()
}

// cancel starts a query that does not end, gives it up after a moment, and answers when the next one was answered.
func (client *native) cancel(one request) (answer, error) {
	given, stop := context.WithCancel(context.Background())
	defer time.AfterFunc(300*time.Millisecond, stop).Stop()
	rows, err := client.connection.Query(given, one.Cancel)
	if err == nil {
		for rows.Next() {
		}
		err = rows.Err()
		rows.Close()
	}
	if !errors.Is(err, context.Canceled) {
		return answer{}, fmt.Errorf("not cancelled but: %v", err)
	}
	var number uint8
	err = client.connection.QueryRow(context.Background(), "SELECT 5").Scan(&number)
	return answer{Rows: int(number)}, err
}

func exception(err error) answer {
	var told *clickhouse.Exception
	if errors.As(err, &told) {
		return answer{Code: told.Code, Text: told.Name + ": " + told.Message}
	}
	return answer{Code: -1, Text: err.Error()}
}
