package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units of a size, largest first: String uses the first that divides.
var units = []struct {
	name  string
	bytes Size
}{
	{"GiB", 1 << 30}, {"GB", 1e9},
	{"MiB", 1 << 20}, {"MB", 1e6},
	{"KiB", 1 << 10}, {"KB", 1e3},
	{"B", 1},
}

// String is the size as it is written in the file.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return "0"
}

func parseSize(_ string, raw any) (any, error) {
	if n, ok := raw.(int64); ok && n >= 0 {
		return nil, fmt.Errorf("a size needs its unit: write %q", Size(n))
	}
	text, ok := raw.(string)
	if !ok {
		return nil, wrongType(`a size such as "64KiB"`, raw)
	}
	number := strings.TrimRight(text, "BGKMTgikbmt ")
	unit, ok := unitNamed(strings.TrimSpace(text[len(number):]))
	n, err := strconv.ParseUint(number, 10, 63)
	switch {
	case err != nil || !ok:
		return nil, fmt.Errorf(`%q is not a size: write it as "512MiB", "64KiB", "10MB" or "0"`, text)
	case n > uint64(math.MaxInt64/unit):
		return nil, fmt.Errorf("%q is too large", text)
	}
	return Size(n) * unit, nil
}

// unitNamed finds a unit; a number alone counts bytes.
func unitNamed(name string) (Size, bool) {
	for _, u := range units {
		if u.name == name || name == "" && u.bytes == 1 {
			return u.bytes, true
		}
	}
	return 0, false
}
