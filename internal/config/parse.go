package config

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// parsers turn what the decoder found into the value of a field, by its type.
var parsers = map[reflect.Type]func(kind string, raw any) (any, error){
	durationType: parseDuration,
	sizeType:     parseSize,
	modeType:     parseMode,
	boolType:     parseBool,
	maybeType:    parseMaybe,
	intType:      parseInt,
	stringType:   parseString,
	listType:     parseList,
	envType:      parseEnv,
}

func parse(f reflect.StructField, raw any) (any, error) {
	return parsers[f.Type](f.Tag.Get("kind"), raw)
}

func parseDuration(_ string, raw any) (any, error) {
	if n, ok := raw.(int64); ok {
		return nil, fmt.Errorf("a duration needs its unit: write \"%ds\"", n)
	}
	text, ok := raw.(string)
	if !ok {
		return nil, wrongType(`a duration such as "60s"`, raw)
	}
	if _, err := strconv.ParseUint(text, 10, 64); err == nil && text != "0" {
		return nil, fmt.Errorf("a duration needs its unit: write \"%ss\"", text)
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf(`%q is not a duration: write it as "60s", "250ms" or "1h30m"`, text)
	case d < 0:
		return nil, fmt.Errorf("%q: a duration cannot be negative", text)
	}
	return d, nil
}

// parseMode reads permission bits. A number is refused because 27 and 0o27 are
// both numbers in TOML, and one of them is a hole.
func parseMode(_ string, raw any) (any, error) {
	if n, ok := raw.(int64); ok {
		return nil, fmt.Errorf("must be an octal string, not a number: write \"%04d\" if those are the octal digits", max(n, 0))
	}
	text, ok := raw.(string)
	if !ok {
		return nil, wrongType(`an octal string such as "0027"`, raw)
	}
	bits, err := strconv.ParseUint(text, 8, 32)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return nil, fmt.Errorf(`%q is not an octal string such as "0027"`, text)
	case err != nil || bits > 0o777:
		return nil, fmt.Errorf(`%q is more than "0777"`, text)
	}
	return Mode{Bits: fs.FileMode(bits), Set: true}, nil
}

func parseBool(_ string, raw any) (any, error) {
	if b, ok := raw.(bool); ok {
		return b, nil
	}
	return nil, wrongType("true or false", raw)
}

func parseMaybe(_ string, raw any) (any, error) {
	b, err := parseBool("", raw)
	if err != nil {
		return nil, err
	}
	return new(b.(bool)), nil
}

func parseInt(_ string, raw any) (any, error) {
	if n, ok := raw.(int64); ok {
		return int(n), nil
	}
	return nil, wrongType("a whole number", raw)
}

// parseString reads a string; a user or group may also be written as a number.
func parseString(kind string, raw any) (any, error) {
	if n, ok := raw.(int64); ok && (kind == "user" || kind == "group") {
		return strconv.FormatInt(n, 10), nil
	}
	text, ok := raw.(string)
	switch {
	case !ok:
		return nil, wrongType("a string", raw)
	case text == "":
		return nil, errors.New("must not be empty: leave the key out if it is not wanted")
	}
	return text, noNUL(text)
}

// parseList reads a list of strings, or one string: a command line if the key
// holds words, the only item otherwise.
func parseList(kind string, raw any) (any, error) {
	if text, ok := raw.(string); ok {
		if kind == "words" {
			return orNone(splitWords(text))
		}
		return []string{text}, noNUL(text)
	}
	items, ok := raw.([]any)
	if !ok {
		return nil, wrongType("a string or a list of strings", raw)
	}
	list := make([]string, len(items))
	for i, item := range items {
		if list[i], ok = item.(string); !ok {
			return nil, wrongType("a list of strings", item)
		}
	}
	return orNone(list, noNUL(strings.Join(list, "")))
}

// orNone makes an empty list nil, so that a list that was written out empty
// equals one that never was.
func orNone(list []string, err error) (any, error) {
	if len(list) == 0 {
		list = nil
	}
	return list, err
}

func parseEnv(_ string, raw any) (any, error) {
	table, ok := raw.(map[string]any)
	if !ok {
		return nil, wrongType(`a table of strings such as { APP_ENV = "production" }`, raw)
	}
	var env map[string]string
	for name, value := range table {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s: %w", joinKey("", name), wrongType("a string", value))
		}
		if env == nil {
			env = map[string]string{}
		}
		env[name] = text
	}
	return env, nil
}

func noNUL(text string) error {
	if strings.ContainsRune(text, 0) {
		return errors.New("must not contain a NUL byte")
	}
	return nil
}

func wrongType(want string, got any) error {
	return fmt.Errorf("must be %s, not %s", want, describe(got))
}

// describe names a value of the decoder in words.
func describe(raw any) string {
	switch v := raw.(type) {
	case string:
		return "the string " + strconv.Quote(v)
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return fmt.Sprint(v)
	case time.Time:
		return "a date"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return fmt.Sprintf("%v", raw)
}
