// Package version names what is running.
package version

import (
	"runtime/debug"
	"strings"
)

// number is the release. A build may set another one:
// -ldflags "-X github.com/fugue-http/fugue/internal/version.number=1.2.3".
var number = "0.1.0-dev"

// String returns the version of the fugue module in this binary.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return number
	}
	const module = "github.com/fugue-http/fugue"
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module && m.Version != "" && m.Version != "(devel)" {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return number
}
