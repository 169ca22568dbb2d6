package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/fugue-http/fugue/internal/wire"
)

// kinds say what the strings of a key must look like.
var kinds = map[string]func(string) error{
	"address": checkAddress,
	"fdname":  checkFDName,
	"user":    checkUser,
	"group":   checkUser,
	"ready":   checkReady,
	"signal":  checkSignal,
	"path":    noNUL,
	"words":   noNUL,
	"env":     checkEnv,
}

// kind checks each string of a setting; unset ones are not looked at.
func (v *validator) kind(s setting) {
	check := kinds[s.tag("kind")]
	if check == nil {
		return
	}
	switch value := s.value.Interface().(type) {
	case string:
		if value != "" {
			v.check(s.path, check(value))
		}
	case []string:
		for i, item := range value {
			v.check(indexKey(s.path, i), check(item))
		}
	case map[string]string:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			v.check(joinKey(s.path, name), errors.Join(check(name), noNUL(value[name])))
		}
	}
}

// givenByMaster are variables beside those of internal/wire that each worker
// gets from the master.
var givenByMaster = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

func checkEnv(name string) error {
	switch {
	case name == "":
		return errors.New("a variable needs a name")
	case strings.ContainsAny(name, "=\x00"):
		return errors.New("the name of a variable cannot contain = or NUL")
	case strings.HasPrefix(name, "FUGUE_"), slices.Contains(wire.WorkerEnv, name), slices.Contains(givenByMaster, name):
		return errors.New("is set by the master for each worker")
	}
	return nil
}

// checkChoice wants one of the words of the choice tag.
func checkChoice(s setting) error {
	choice, ok := s.field.Tag.Lookup("choice")
	if words := strings.Fields(choice); ok && !slices.Contains(words, s.value.String()) {
		return fmt.Errorf("must be %s, not %q", strings.Join(words, " or "), s.value.String())
	}
	return nil
}

// checkBounds holds numbers, durations and sizes between min and max.
func checkBounds(s setting) error {
	if !s.value.CanInt() {
		return nil
	}
	low, high := bound(s, "min"), bound(s, "max")
	switch n := s.value.Int(); {
	case n == 0 && s.tag("zero") == "off":
		return nil
	case low.IsValid() && n < low.Int():
		return fmt.Errorf("must be at least %s, not %s", literal(low), literal(s.value))
	case n < 0:
		return fmt.Errorf("cannot be negative: %s", literal(s.value))
	case high.IsValid() && n > high.Int():
		return fmt.Errorf("must be at most %s, not %s", literal(high), literal(s.value))
	}
	return nil
}

// bound is the value of the min or max tag, invalid without it.
func bound(s setting, tag string) reflect.Value {
	text, ok := s.field.Tag.Lookup(tag)
	if !ok {
		return reflect.Value{}
	}
	v := reflect.New(s.field.Type).Elem()
	if err := setFromTag(v, s.field, text); err != nil {
		panic("config: " + tag + " of " + s.path + ": " + err.Error())
	}
	return v
}
