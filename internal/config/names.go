package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// noID is (uid_t)-1, which setuid(2) and chown(2) take for "leave as it is".
const noID = math.MaxUint32

// checkUser holds a user or group to a form that can mean only one thing: a
// number, or a name that no tool takes for a number. Whether it exists, Check
// says.
func checkUser(name string) error {
	if _, isNumber, err := parseID(name); isNumber || err != nil {
		return err
	}
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == ':' || r == '/' }
	switch {
	case name == "" || strings.IndexFunc(name, bad) >= 0 || strings.HasPrefix(name, "~"):
		return fmt.Errorf("%q is not a user or group name", name)
	case strings.ContainsAny(name[:1], "0123456789+-."):
		return fmt.Errorf("%q looks like a number, but is none: write a number from 0 or a name", name)
	}
	return nil
}

// parseID reads a decimal id. The one that means "leave as it is" is refused:
// it would leave workers what the master is.
func parseID(name string) (id uint32, isNumber bool, err error) {
	n, err := strconv.ParseUint(name, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return 0, false, nil
	case err != nil || n > noID:
		return 0, true, fmt.Errorf("%s is larger than any id", name)
	case n == noID:
		return 0, true, fmt.Errorf("%s stands for -1, which is no id", name)
	case len(name) > 1 && name[0] == '0':
		return 0, true, fmt.Errorf("%q looks octal: write the number without the leading zero", name)
	}
	return uint32(n), true, nil
}

// isRoot sees root in a uid before anyone is looked up.
func isRoot(name string) bool { return name == "root" || name == "0" }

var errRootWorkers = errors.New("workers would run as root; leave uid out if that is what you want")
