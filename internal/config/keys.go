package config

import "reflect"

// Key describes one key of unicorn.toml, for the example file and the docs.
type Key struct {
	Name    string // with its table: "app.command"
	Table   string // "", "listener", "app" …
	Type    string // in words: "duration", "path", "list"
	Default string // as TOML, "" if the key is unset without a value in the file
	Sample  string // as TOML, what the example file shows if there is no default
	Doc     string // one sentence
}

// Keys lists every key, in the order of the example file.
func Keys() []Key {
	var keys []Key
	for _, s := range everySetting(specimen(), "") {
		path := plainKey(s.path)
		keys = append(keys, Key{
			Name:    path,
			Table:   tableOf(path),
			Type:    typeName(s.field),
			Default: literalOfTag(s, "default"),
			Sample:  literalOfTag(s, "sample"),
			Doc:     s.tag("doc"),
		})
	}
	return keys
}

// specimen is a Config in which every table occurs once.
func specimen() reflect.Value {
	c := &Config{Listeners: make([]Listener, 1), Watch: Watch{Routes: make([]Route, 1)}}
	return reflect.ValueOf(c).Elem()
}

// tables lists the tables of the file with their sentences, each before those
// within it.
func tables() []setting { return tablesWithin(specimen(), "") }

func tablesWithin(v reflect.Value, at string) (all []setting) {
	_, tables := split(v, at)
	for _, t := range tables {
		all = append(all, t)
		if isTable(t.field.Type) {
			all = append(all, tablesWithin(t.value, t.path)...)
		}
	}
	return all
}

// header is the line that a table begins with.
func (s setting) header() string {
	name := plainKey(s.path)
	if isTableArray(s.field.Type) {
		return "[[" + name + "]]"
	}
	return "[" + name + "]"
}

func tableOf(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' {
			return path[:i]
		}
	}
	return ""
}

// literalOfTag is the default or the sample of a key as TOML.
func literalOfTag(s setting, tag string) string {
	text, ok := s.field.Tag.Lookup(tag)
	if !ok {
		return ""
	}
	v := reflect.New(s.field.Type).Elem()
	if err := setFromTag(v, s.field, text); err != nil {
		panic("config: tag of " + s.path + ": " + err.Error())
	}
	return setting{s.path, s.field, v}.literal()
}

func typeName(f reflect.StructField) string {
	if f.Tag.Get("kind") == "path" {
		return "path"
	}
	return map[reflect.Type]string{
		durationType: "duration",
		sizeType:     "size",
		modeType:     "octal string",
		boolType:     "true or false",
		maybeType:    "true or false",
		intType:      "number",
		stringType:   "string",
		listType:     "string or list",
		envType:      "table of strings",
	}[f.Type]
}
