package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxWorkers is that of the workers key. The loop checks the outcome of a sum;
// here it keeps the sum from overflowing.
const maxWorkers = 1024

// readScale reads {"workers":N} or {"by":±K}.
func readScale(body []byte) (kind Kind, n int, err error) {
	const form = `write {"workers": N} or {"by": K}`
	var want struct {
		Workers *int `json:"workers"`
		By      *int `json:"by"`
	}
	if err := readJSON(body, &want, form); err != nil {
		return 0, 0, err
	}
	switch {
	case want.Workers != nil && want.By != nil:
		return 0, 0, bad(`"workers" and "by" exclude each other: %s`, form)
	case want.Workers == nil && want.By == nil:
		return 0, 0, bad(`nothing is asked for: %s`, form)
	case want.By != nil:
		return AskScaleBy, *want.By, within("by", *want.By, -maxWorkers)
	}
	return AskScale, *want.Workers, within("workers", *want.Workers, 0)
}

func within(name string, n, least int) error {
	if n < least || n > maxWorkers {
		return bad("%q is %d, and may be %d to %d", name, n, least, maxWorkers)
	}
	return nil
}

// readStop reads {"quick":true}, {"quick":false}, {} or nothing.
func readStop(body []byte) (quick bool, err error) {
	var want struct {
		Quick bool `json:"quick"`
	}
	if isBlank(body) {
		return false, nil
	}
	err = readJSON(body, &want, `write {"quick": true}, {"quick": false} or nothing`)
	return want.Quick, err
}

func readNothing(body []byte) error {
	if isBlank(body) {
		return nil
	}
	return readJSON(body, &struct{}{}, "write {} or nothing")
}

func isBlank(body []byte) bool { return len(bytes.TrimSpace(body)) == 0 }

// readJSON reads exactly one object of exactly the fields of to.
func readJSON(body []byte, to any, form string) error {
	if first := bytes.TrimSpace(body); len(first) == 0 || first[0] != '{' {
		return bad("the body is not a JSON object: %s", form)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		return bad("%s: %s", explain(err), form)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return bad("there is more than one JSON object: %s", form)
	}
	return nil
}

// explain says it in terms of JSON, not of Go.
func explain(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return fmt.Sprintf("%q cannot be a %s", wrong.Field, wrong.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON object is not complete"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func bad(format string, args ...any) error { return fail(http.StatusBadRequest, format, args...) }
