package sockets

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   string
		want Address
		out  string // if other than in
	}{
		{in: "127.0.0.1:8080", want: Address{Network: "tcp", Host: "127.0.0.1", Port: "8080"}},
		{in: ":8080", want: Address{Network: "tcp", Port: "8080"}},
		{in: "localhost:0", want: Address{Network: "tcp", Host: "localhost", Port: "0"}},
		{in: "my_app.example-1.com:65535", want: Address{Network: "tcp", Host: "my_app.example-1.com", Port: "65535"}},
		{in: "[::]:80", want: Address{Network: "tcp", Host: "::", Port: "80"}},
		{in: "[fe80::1%eth0]:80", want: Address{Network: "tcp", Host: "fe80::1%eth0", Port: "80"}},
		{in: "[0:0::1]:0080", want: Address{Network: "tcp", Host: "::1", Port: "80"}, out: "[::1]:80"},
		{in: "[::ffff:10.0.0.1]:80", want: Address{Network: "tcp", Host: "10.0.0.1", Port: "80"}, out: "10.0.0.1:80"},
		{in: "unix:/run/app.sock", want: Address{Network: "unix", Path: "/run/app.sock"}},
		{in: "unix:tmp/a:b", want: Address{Network: "unix", Path: "tmp/a:b"}},
		{in: "unix:@app", want: Address{Network: "unix", Path: "@app"}},
		{in: "systemd:web.socket", want: Address{Network: "systemd", Name: "web.socket"}},
	} {
		got, err := ParseAddress(tc.in)
		if err != nil || got != tc.want {
			t.Errorf("%q: got %+v, %v, want %+v", tc.in, got, err, tc.want)
		}
		if tc.out == "" {
			tc.out = tc.in
		}
		if got.String() != tc.out {
			t.Errorf("%q: printed as %q, want %q", tc.in, got, tc.out)
		}
	}
}

func TestParseAddressSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                          "is empty",
		"8080":                      "write :8080",
		"localhost":                 "missing port",
		"::1":                       "write [address]:port",
		"::1:x":                     "in brackets",
		"[::1]":                     "missing port",
		"*:80":                      "write :port",
		"localhost:http":            `port "http" is not a number`,
		"localhost:65536":           `port "65536" is not a number`,
		"localhost:-1":              "not a number",
		"localhost:":                `port "" is not a number`,
		"300.1.2.3:80":              "not an IPv4 address",
		"my host:80":                "neither an IP address nor a name",
		"[x]y:80":                   "", // net's own words
		"[fe80::1%e/0]:80":          "neither",
		"[fe80::1%e 0]:80":          "zone",
		"http://localhost:8080":     `leave out "http://"`,
		"http://localhost:80/":      "and the path",
		"/run/app.sock":             `did you mean "unix:/run/app.sock"?`,
		"localhost:80/x":            "neither host:port nor unix:/path",
		"unix:":                     "has no path",
		"unix:@":                    "has no path",
		"unix":                      "has no path",
		"unix:/a\x00b":              "NUL",
		"systemd:":                  "has no name",
		"systemd:a:b":               "without a colon",
		"systemd:a\nb":              "printable",
		"systemd:" + long("a", 256): "at most 255",
	} {
		got, err := ParseAddress(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v, want an error with %q", in, got, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{":80", "[::1%1]:80", "[::ffff:1.2.3.4%x]:1", "a.b:0", "unix:@x", "unix:/a b", "/\n", "systemd:n", "http://x", "::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, err := ParseAddress(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q: the error is not one line: %q", s, err)
			}
			return
		}
		second, err := ParseAddress(first.String())
		if err != nil || first != second {
			t.Errorf("%q: %+v is read back as %+v, %v", s, first, second, err)
		}
	})
}

func long(s string, n int) string { return strings.Repeat(s, n) }
