package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

const exampleHead = `# unicorn.toml: every setting of fugue-http at its default.
#
# A key that is commented out has no default; its value here is a sample.
# Durations are strings ("60s", "250ms"), sizes too ("512MiB"). Relative paths
# start from the folder of this file. fugue-http -t tests a file, -T prints all
# that is in effect, and HUP makes a running server read it again.
`

// WriteExample writes unicorn.toml.example: every key with its sentence. It is
// a valid file, and runs the demonstration app.
func WriteExample(w io.Writer) error {
	var b strings.Builder
	b.WriteString(exampleHead)
	values := reflect.ValueOf(Default()).Elem()
	keys, tables := split(values, "")
	exampleKeys(&b, keys)
	exampleTables(&b, tables)
	_, err := io.WriteString(w, b.String())
	return err
}

func exampleTables(b *strings.Builder, tables []setting) {
	for _, t := range tables {
		if isTable(t.field.Type) {
			exampleTable(b, t, t.value)
			_, within := split(t.value, t.path)
			exampleTables(b, within)
			continue
		}
		var sample strings.Builder
		exampleTable(&sample, t, newElement(t))
		b.WriteString("\n" + commentOut(strings.TrimPrefix(sample.String(), "\n")))
	}
}

// newElement is a table of an array of tables, at its defaults.
func newElement(t setting) reflect.Value {
	v := reflect.New(t.field.Type.Elem()).Elem()
	setDefaults(v)
	return v
}

func exampleTable(b *strings.Builder, t setting, table reflect.Value) {
	fmt.Fprintf(b, "\n# %s\n%s\n", t.tag("doc"), t.header())
	keys, _ := split(table, "")
	exampleKeys(b, keys)
}

// exampleKeys writes each key live if it has a default, commented out if not.
// The address is what makes a listener and the path what makes a route, so that
// they are live in their samples.
func exampleKeys(b *strings.Builder, keys []setting) {
	for _, s := range keys {
		value, comment := literalOfTag(s, "sample"), "# "
		if _, ok := s.field.Tag.Lookup("default"); ok {
			value, comment = s.literal(), ""
		}
		if kind := s.tag("kind"); kind == "address" || kind == "pattern" {
			comment = ""
		}
		fmt.Fprintf(b, "\n# %s\n%s%s = %s\n", s.tag("doc"), comment, s.name(), value)
	}
}

func commentOut(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight("# "+line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// WriteMarkdown writes the keys as one table for each table of the file.
func WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("## Top of the file\n")
	markdownTable(&b, "")
	for _, t := range tables() {
		fmt.Fprintf(&b, "\n## `%s`\n\n%s.\n", t.header(), sentence(t.tag("doc")))
		markdownTable(&b, plainKey(t.path))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownTable(b *strings.Builder, table string) {
	b.WriteString("\n| key | type | default | |\n|---|---|---|---|\n")
	for _, k := range Keys() {
		if k.Table != table {
			continue
		}
		value := "none"
		if k.Default != "" {
			value = "`" + k.Default + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", lastName(k.Name), k.Type, value, sentence(k.Doc))
	}
}

// sentence begins with a capital and keeps a bar from ending its column.
func sentence(doc string) string {
	return strings.ToUpper(doc[:1]) + strings.ReplaceAll(doc[1:], "|", `\|`)
}
