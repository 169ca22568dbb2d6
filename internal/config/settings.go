package config

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	modeType     = reflect.TypeFor[Mode]()
	boolType     = reflect.TypeFor[bool]()
	maybeType    = reflect.TypeFor[*bool]()
	intType      = reflect.TypeFor[int]()
	stringType   = reflect.TypeFor[string]()
	listType     = reflect.TypeFor[[]string]()
	envType      = reflect.TypeFor[map[string]string]()
)

// A setting is one key of a Config with its place and its value.
type setting struct {
	path  string // "app.command", "listener[1].mode"
	field reflect.StructField
	value reflect.Value
}

func (s setting) tag(name string) string { return s.field.Tag.Get(name) }
func (s setting) name() string           { return s.tag("toml") }

// split returns the fields of the struct v, plain keys apart from tables and
// arrays of tables: in a file all keys of a table stand before its sub-tables.
func split(v reflect.Value, at string) (keys, tables []setting) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("toml")
		switch s := (setting{joinKey(at, name), f, v.Field(i)}); {
		case name == "-" || name == "":
		case isTable(f.Type) || isTableArray(f.Type):
			tables = append(tables, s)
		default:
			keys = append(keys, s)
		}
	}
	return keys, tables
}

// everySetting returns all keys of the struct v and of the tables within.
func everySetting(v reflect.Value, at string) []setting {
	all, tables := split(v, at)
	for _, t := range tables {
		if isTable(t.field.Type) {
			all = append(all, everySetting(t.value, t.path)...)
			continue
		}
		for i := range t.value.Len() {
			all = append(all, everySetting(t.value.Index(i), indexKey(t.path, i))...)
		}
	}
	return all
}

func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && t != modeType }

func isTableArray(t reflect.Type) bool { return t.Kind() == reflect.Slice && isTable(t.Elem()) }

// joinKey is the one way in which a path is written, so that the path of a
// fault and that of a line are the same string. A name that is not a bare key
// is quoted, which also keeps control characters out of messages.
func joinKey(at, name string) string {
	if !isBare(name) {
		name = strconv.Quote(name)
	}
	if at == "" {
		return name
	}
	return at + "." + name
}

func indexKey(at string, i int) string { return at + "[" + strconv.Itoa(i) + "]" }

func isBare(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool { return !isBareRune(r) }) < 0
}

func isBareRune(r rune) bool {
	return r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// plainKey drops the indices of a path: which of several tables is meant, the
// line number says.
func plainKey(path string) string { return indices.ReplaceAllString(path, "") }

var indices = regexp.MustCompile(`\[\d+\]`)
