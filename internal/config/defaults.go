package config

import (
	"os"
	"reflect"
	"strconv"
	"strings"
)

// Default is the configuration of a run without a file: the built-in
// demonstration app, everything else at its default, paths from the current
// folder.
func Default() *Config {
	c := withDefaults[Config]()
	c.App.Demo = true
	c.Dir, _ = os.Getwd() // "" if the folder is gone: paths then stay relative
	return c
}

// withDefaults returns a T with every key at the default in its tag.
func withDefaults[T any]() *T {
	t := new(T)
	setDefaults(reflect.ValueOf(t).Elem())
	return t
}

func setDefaults(v reflect.Value) {
	for _, s := range everySetting(v, "") {
		text, ok := s.field.Tag.Lookup("default")
		if !ok {
			continue
		}
		if err := setFromTag(s.value, s.field, text); err != nil {
			panic("config: default of " + s.path + ": " + err.Error())
		}
		if s.field.Type == modeType {
			s.value.FieldByName("Set").SetBool(false) // Set means: given in the file
		}
	}
}

// setFromTag sets v to the value that the text of a tag stands for.
func setFromTag(v reflect.Value, f reflect.StructField, text string) error {
	raw, err := tagValue(f.Type, text)
	if err != nil {
		return err
	}
	parsed, err := parse(f, raw)
	if err == nil {
		v.Set(reflect.ValueOf(parsed))
	}
	return err
}

// tagValue is the text of a tag as the TOML decoder would hand it over.
func tagValue(t reflect.Type, text string) (any, error) {
	switch t {
	case boolType, maybeType:
		return strconv.ParseBool(text)
	case intType:
		return strconv.ParseInt(text, 10, 64)
	case envType:
		name, value, _ := strings.Cut(text, "=")
		return map[string]any{name: value}, nil
	}
	return text, nil
}
