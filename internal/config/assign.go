package config

import (
	"maps"
	"reflect"
	"slices"
)

// An assigner puts what the decoder found into the fields of a Config and
// collects what does not fit.
type assigner struct{ faults Faults }

// table assigns the keys of src to the struct dst.
func (a *assigner) table(dst reflect.Value, src map[string]any, at string) {
	keys, tables := split(dst, at)
	known := map[string]setting{}
	for _, s := range append(keys, tables...) {
		known[s.name()] = s
	}
	for _, name := range slices.Sorted(maps.Keys(src)) {
		if a.faults.full() {
			return
		}
		if s, ok := known[name]; ok {
			a.set(s, src[name])
		} else {
			a.faults.add(joinKey(at, name), "%s", unknown(at, name))
		}
	}
}

// set assigns one value to its field; a field with a fault keeps its default.
func (a *assigner) set(s setting, raw any) {
	switch {
	case isTable(s.field.Type):
		a.subTable(s, raw)
	case isTableArray(s.field.Type):
		a.tableArray(s, raw)
	default:
		v, err := parse(s.field, raw)
		if err != nil {
			a.faults.add(s.path, "%v", err)
			return
		}
		s.value.Set(reflect.ValueOf(v))
	}
}

func (a *assigner) subTable(s setting, raw any) {
	src, ok := raw.(map[string]any)
	if !ok {
		a.faults.add(s.path, "must be a table, [%s], not %s", s.name(), describe(raw))
		return
	}
	a.table(s.value, src, s.path)
}

func (a *assigner) tableArray(s setting, raw any) {
	items, ok := tableList(raw)
	if !ok {
		a.faults.add(s.path, "must be written [[%s]], a table with two brackets, not %s", plainKey(s.path), describe(raw))
		return
	}
	list := reflect.MakeSlice(s.field.Type, len(items), len(items))
	s.value.Set(list)
	for i, src := range items {
		setDefaults(list.Index(i))
		a.table(list.Index(i), src, indexKey(s.path, i))
	}
}

// tableList accepts both ways to write an array of tables: [[x]] and x = [{…}].
func tableList(raw any) ([]map[string]any, bool) {
	if list, ok := raw.([]map[string]any); ok {
		return list, true
	}
	items, ok := raw.([]any)
	list := make([]map[string]any, len(items))
	for i, item := range items {
		table, isTable := item.(map[string]any)
		list[i], ok = table, ok && isTable
	}
	return list, ok
}
