package static

import (
	"net/url"
	"path"
	"strings"
)

const wellKnown = ".well-known" // RFC 8615: certificates, security.txt; public by its meaning

// locate translates the path of a request into a name beneath the root, "." for
// the root itself, and says whether the path ended in a slash. Slashes in a row
// count as one, as in nginx. Dot segments are not resolved: browsers and curl
// have done that before they send, and "." and ".." start with a dot.
func locate(u *url.URL) (name string, slash bool, err error) {
	if !plain(u) {
		return "", false, errNotServed
	}
	var parts []string
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == "" {
			continue
		}
		if hidden(part, len(parts)) {
			return "", false, errNotServed
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ".", true, nil
	}
	return path.Join(parts...), strings.HasSuffix(u.Path, "/"), nil
}

// plain reports whether every server in front would read the path as we do: an
// encoded slash (only RawPath still tells) or a backslash could pass a rule that
// forbids /private/, and a NUL ends a name in C.
func plain(u *url.URL) bool {
	rooted := u.Path == "" || u.Path[0] == '/'
	return rooted && !strings.ContainsAny(u.Path, "\x00\\") &&
		!strings.Contains(strings.ToLower(u.RawPath), "%2f")
}

func hidden(part string, depth int) bool {
	return part[0] == '.' && (depth > 0 || part != wellKnown)
}
