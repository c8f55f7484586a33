package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"time"
)

type standard struct{ database *sql.DB }

func (client *standard) ask(one request) (answer, error) {
	rows, err := client.database.QueryContext(with(one), one.SQL)
	if err != nil {
		return answer{}, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return answer{}, err
	}
	found := [][]string{}
	kinds := []string{}
	for _, each := range types {
		kinds = append(kinds, each.DatabaseTypeName())
	}
	for rows.Next() {
		values := make([]any, len(types))
		for i, each := range types {
			values[i] = reflect.New(each.ScanType()).Interface()
		}
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

func (client *standard) digest(one request) (answer, error) {
	rows, err := client.database.QueryContext(with(one), one.Digest)
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

func (client *standard) fill(one request) (answer, error) {
	rows, err := client.database.Query("SELECT * FROM " + one.Source)
	if err != nil {
		return answer{}, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return answer{}, err
	}
	transaction, err := client.database.Begin()
	if err != nil {
		return answer{}, err
	}
	defer transaction.Rollback()
	statement, err := transaction.Prepare("INSERT INTO " + one.Target)
	if err != nil {
		return answer{}, err
	}
	count := 0
	for rows.Next() {
		values := make([]any, len(types))
		for i, each := range types {
			values[i] = reflect.New(each.ScanType()).Interface()
		}
		if err := rows.Scan(values...); err != nil {
			return answer{}, err
		}
		for i, value := range values {
			values[i] = reflect.ValueOf(value).Elem().Interface()
		}
		if _, err := statement.Exec(values...); err != nil {
			return answer{}, err
		}
		count++
	}
	if err := rows.Err(); err != nil {
		return answer{}, err
	}
	return answer{Rows: count}, transaction.Commit()
}

func (client *standard) cancel(one request) (answer, error) {
	given, stop := context.WithCancel(context.Background())
	defer time.AfterFunc(300*time.Millisecond, stop).Stop()
	rows, err := client.database.QueryContext(given, one.Cancel)
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
	err = client.database.QueryRow("SELECT 5").Scan(&number)
	return answer{Rows: int(number)}, err
}
