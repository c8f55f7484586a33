// Command clients answers the questions of the Python tests with clickhouse-go. Standard input is one JSON document of
// options and requests, standard output the answers by name; see asking.py for their forms.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type options struct {
	Address  string    `json:"address"`
	Protocol string    `json:"protocol"` // native or http
	Compress string    `json:"compress"` // none, lz4, zstd, gzip
	API      string    `json:"api"`      // native or database/sql
	User     string    `json:"user"`
	Password string    `json:"password"`
	Requests []request `json:"requests"`
}

type request struct {
	Name     string            `json:"name"`
	SQL      string            `json:"sql"`
	Params   map[string]string `json:"params"`
	Settings map[string]string `json:"settings"`
	Digest   string            `json:"digest"`
	Source   string            `json:"source"`
	Target   string            `json:"target"`
	Cancel   string            `json:"cancel"`
}

type answer struct {
	Types []string       `json:"types,omitempty"`
	Rows  any            `json:"rows,omitempty"`
	Sum   uint64         `json:"sum,omitempty"`
	Words map[string]int `json:"words,omitempty"`
	Code  int32          `json:"code,omitempty"`
	Text  string         `json:"text,omitempty"`
}

// asked is a client of one of the two interfaces.
type asked interface {
	ask(request) (answer, error)
	digest(request) (answer, error)
	fill(request) (answer, error)
	cancel(request) (answer, error)
}

func main() {
	var given options
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		fail(err)
	}
	client, err := open(given)
	if err != nil {
		fail(err)
	}
	answers := map[string]answer{}
	for _, one := range given.Requests {
		answers[one.Name] = respond(client, one)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fail(err)
	}
}

func respond(client asked, one request) (found answer) {
	defer func() {
		if problem := recover(); problem != nil {
			found = answer{Code: -2, Text: fmt.Sprintf("panic: %v", problem)}
		}
	}()
	verb := client.ask
	switch {
	case one.Digest != "":
		verb = client.digest
	case one.Source != "":
		verb = client.fill
	case one.Cancel != "":
		verb = client.cancel
	}
	found, err := verb(one)
	if err != nil {
		return exception(err)
	}
	return found
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
