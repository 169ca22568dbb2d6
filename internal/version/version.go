// Package version names what is running.
package version

import "runtime/debug"

// number is the release; builds from a module of a tagged version say that one.
const number = "0.1.0-dev"

// String returns the version of the fugue module in this binary.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return number
	}
	const module = "github.com/fugue-http/fugue"
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module && m.Version != "" && m.Version != "(devel)" {
			return m.Version
		}
	}
	return number
}
