package fugue

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/config"
)

// notForPrograms are the keys without a field, and why.
var notForPrograms = map[string]string{
	"app.command":     "the program runs itself",
	"app.root":        "the program runs itself",
	"app.demo":        "the program runs itself",
	"app.proxy":       "the program runs itself",
	"app.ready":       "package worker says when it is ready",
	"app.stop_signal": "package worker is told by the command socket",
}

// tables are the fields that hold a table of the file; those of [app] are the
// program's own.
var tables = map[string]string{"": "", "app.": "", "listener.": "Listeners.", "watch.": "Watch.", "watch.route.": "Watch.Routes.", "recycle.": "Recycle.", "http.": "HTTP."}

// fieldName is the name of a key's field: worker_kill_timeout is
// WorkerKillTimeout; what Go writes in capitals stays so.
func fieldName(key string) string {
	at := strings.LastIndexByte(key, '.') + 1
	name := tables[key[:at]]
	for word := range strings.SplitSeq(key[at:], "_") {
		switch word {
		case "uid", "gid", "pid", "gomaxprocs", "h2c":
			name += strings.ToUpper(word)
		case "reuseport":
			name += "ReusePort"
		default:
			name += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return name
}

// full are options in which every list of tables has one entry.
func full() *Options {
	return &Options{Listeners: []Listener{{Address: "unix:/sample.sock"}}, Watch: Watch{Routes: []Route{{Path: "/sample"}}}}
}

// field finds a field of o, which is full.
func field(o *Options, name string) reflect.Value {
	v := reflect.ValueOf(o).Elem()
	for part := range strings.SplitSeq(name, ".") {
		if v.IsValid() {
			v = v.FieldByName(part)
		}
		if v.IsValid() && v.Kind() == reflect.Slice && v.Len() == 1 {
			v = v.Index(0)
		}
	}
	return v
}

// samples are values that no key has by default, and that pass validation alone.
var samples = map[string]any{
	"Listen": []string{"127.0.0.1:9"}, "Env": map[string]string{"A": "b"}, "LogFormat": "json",
	"UID": "4711", "GID": "4712", "Umask": "0027", "Listeners.Mode": "0600", "Listeners.Address": "unix:/somewhere/else",
	"Listeners.Owner": "4711", "Listeners.Group": "4712", "Watch.Routes.Methods": []string{"GET"},
}

// fill sets v to a sample.
func fill(t *testing.T, v reflect.Value, name string) {
	t.Helper()
	if sample, any := samples[name]; any {
		v.Set(reflect.ValueOf(sample))
		return
	}
	yes := true
	switch v.Interface().(type) {
	case string:
		v.SetString("/sample/" + name)
	case bool:
		v.SetBool(true)
	case *bool:
		v.Set(reflect.ValueOf(&yes))
	case int, int64:
		v.SetInt(3777)
	case time.Duration:
		v.Set(reflect.ValueOf(37 * time.Second))
	default:
		t.Fatalf("%s is a %s: add a sample", name, v.Type())
	}
}

// Every key of the settings file is a field of Options, but for those above; and
// what is set there arrives in that key, and in no other.
func TestEveryKeyIsAnOption(t *testing.T) {
	listed := map[string]bool{}
	for _, key := range config.Keys() {
		listed[key.Name] = true
		name := fieldName(key.Name)
		v := field(full(), name)
		if why, excepted := notForPrograms[key.Name]; excepted {
			if v.IsValid() {
				t.Errorf("%s has a field, though %s", key.Name, why)
			}
			continue
		}
		if !v.IsValid() {
			t.Errorf("%s: Options has no %s", key.Name, name)
			continue
		}
		t.Run(name, func(t *testing.T) { arrives(t, key.Name, name) })
	}
	for name := range notForPrograms {
		if !listed[name] {
			t.Errorf("%s is an exception, but no key", name)
		}
	}
}

// arrives compares the Config with and without the field.
func arrives(t *testing.T, key, name string) {
	with, without := full(), full()
	fill(t, field(with, name), name)
	changed := map[string]bool{}
	before, after := copied(t, without), copied(t, with)
	for k, v := range after {
		if !reflect.DeepEqual(v, before[k]) {
			changed[k] = true
		}
	}
	if !changed[key] || len(changed) != 1 {
		t.Errorf("%s changes %v, not just %s", name, changed, key)
	}
}

// copied are the values of all keys that o gives.
func copied(t *testing.T, o *Options) map[string]any {
	t.Helper()
	c := config.Default()
	if err := o.copyInto(c); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	collect(values, reflect.ValueOf(*c), "")
	return values
}

func collect(values map[string]any, v reflect.Value, prefix string) {
	for i := range v.NumField() {
		name, f := prefix+v.Type().Field(i).Tag.Get("toml"), v.Field(i)
		if f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct {
			f = f.Index(0)
		}
		switch {
		case name == prefix+"-":
		case f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[config.Mode]():
			collect(values, f, name+".")
		default:
			values[name] = f.Interface()
		}
	}
}

// Off is the way to say "none" where zero means the default.
func TestOffSwitchesALimitOff(t *testing.T) {
	o := Options{Timeout: Off, HeartbeatTimeout: Off, ShutdownDelay: Off, Recycle: Recycle{MaxAge: Off}, HTTP: HTTP{ReadHeaderTimeout: Off, ReadTimeout: Off, WriteTimeout: Off, IdleTimeout: Off, Linger: Off},
		Watch: Watch{Status: NoAnswer, Routes: []Route{{Path: "/", Timeout: Off}}}}
	c, err := o.configFrom(here(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Timeout != 0 || c.HeartbeatTimeout != 0 || c.Watch.Status != 0 || c.Watch.Routes[0].Timeout != 0 ||
		c.ShutdownDelay != 0 || c.Recycle != (config.Recycle{}) ||
		c.HTTP != (config.HTTP{MaxHeaderBytes: c.HTTP.MaxHeaderBytes}) {
		t.Errorf("%v, %v, %+v, %+v", c.Timeout, c.HeartbeatTimeout, c.Watch, c.HTTP)
	}
}

// No options are the defaults of the file.
func TestNoOptionsAreTheDefaults(t *testing.T) {
	got, err := Options{}.configFrom(here(t))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Resolve(want.Dir)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nis not\n%+v", got, want)
	}
}

func here(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
