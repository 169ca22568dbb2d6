package config

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"0": 0, "0B": 0, "1": 1, "7B": 7, "64KiB": 64 << 10, "10MB": 10_000_000, "512MiB": 512 << 20, "3 GiB": 3 << 30, "2GB": 2_000_000_000, "1KB": 1000,
	} {
		got, err := parseSize("", text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v; want %d", text, got, err, want)
			continue
		}
		if again, err := parseSize("", want.String()); err != nil || again != want {
			t.Errorf("%d is written %q, read as %v, %v", want, want, again, err)
		}
	}
	for _, text := range []string{"", "B", "-1", "-1KiB", "1.5GiB", "64K", "64kb", "64KiB/s", "KiB64", "1 2", "+1", "9223372036854775808", "9007199254740992KiB"} {
		if got, err := parseSize("", text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func FuzzSizes(f *testing.F) {
	f.Add("64KiB")
	f.Add("18446744073709551616GiB")
	f.Fuzz(func(t *testing.T, text string) {
		size, err := parseSize("", text)
		if err != nil {
			return
		}
		if again, err := parseSize("", size.(Size).String()); err != nil || again != size || size.(Size) < 0 {
			t.Errorf("%q: %v, then %v, %v", text, size, again, err)
		}
	})
}

func TestDurationsAreWrittenAsPeopleDo(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 250 * time.Millisecond: "250ms", time.Minute: "60s", 75 * time.Second: "75s", time.Hour: "1h", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 20 * time.Hour: "20h", 10 * time.Minute: "600s", time.Minute + time.Millisecond: "1m0.001s", 30 * time.Second: "30s",
	} {
		got := durationText(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("%d: %s, want %s (%v, %v)", d, got, want, back, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		":8080", ":0", ":65535", "127.0.0.1:80", "localhost:80", "example.org:80", "my_host-1:80", "[::1]:80", "[fe80::1%eth0]:80", "[::]:80",
		"unix:/run/a.sock", "unix:a.sock", "unix:./a", "unix:@a", "unix:/" + strings.Repeat("x", 106), "systemd:web", "systemd:web.socket",
	} {
		if err := checkAddress(addr); err != nil {
			t.Errorf("%q is refused: %v", addr, err)
		}
	}
	for addr, want := range map[string]string{
		"":                                  "is not an address",
		"8080":                              `write ":8080"`,
		"*:80":                              `write ":80"`,
		"/run/a.sock":                       `write "unix:/run/a.sock"`,
		"http://localhost:80/":              `write "localhost:80"`,
		"tcp://:80":                         `write ":80"`,
		"127.0.0.1":                         `write "127.0.0.1:8080"`,
		"::1":                               `write "[::1]:8080"`,
		"localhost":                         "is not an address",
		"localhost:":                        "the port must be a number",
		"localhost:http":                    "the port must be a number",
		":65536":                            "the port must be a number",
		":-1":                               "the port must be a number",
		"a b:80":                            "neither an IP address nor a host name",
		"1.2.3:80":                          "is not an IP address",
		"1.2.3.256:80":                      "is not an IP address",
		"[::g]:80":                          "is not an IPv6 address",
		"a:b:80":                            "is not an address",
		"unix:":                             "needs a path",
		"unix:@":                            "needs a path",
		"unix:/run/":                        "is a folder",
		"unix:/a\x00b":                      "NUL",
		"systemd:":                          "is not a name",
		"systemd:a b":                       "is not a name",
		"unix:/" + strings.Repeat("x", 107): "the kernel takes at most 107",
		strings.Repeat("x", 254) + ":80":    "neither an IP address nor a host name",
	} {
		if err := checkAddress(addr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", addr, err, want)
		}
	}
}

func TestAddressesThatAreTheSame(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{":80", ":080"}, {"[::1]:80", "[0:0::1]:80"}, {"A:80", "a:80"}, {"unix:@a", "unix:@a"}} {
		if sameAddress(pair[0]) != sameAddress(pair[1]) {
			t.Errorf("%q differs", pair)
		}
	}
	for _, pair := range [][2]string{{":80", "127.0.0.1:80"}, {":80", ":81"}, {"unix:@a", "unix:@A"}, {"systemd:a", "unix:a"}} {
		if sameAddress(pair[0]) == sameAddress(pair[1]) {
			t.Errorf("%q is one", pair)
		}
	}
	c := Default()
	c.Listen = []string{":0", ":0"}
	if faults := c.Validate(); strings.Contains(faults.Error(), "twice") {
		t.Error("port 0 is another port each time")
	}
}

func TestTypos(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"workers", "wokers", 1}, {"workers", "wrokers", 1}, {"kitten", "sitting", 3}, {"abc", "abc", 0}} {
		if got := typos(c.a, c.b); got != c.want || typos(c.b, c.a) != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestStopSignals(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "SIGTERM": syscall.SIGTERM, "QUIT": syscall.SIGQUIT, "SIGUSR1": syscall.SIGUSR1} {
		c := Default()
		c.App.StopSignal = name
		if len(c.Validate()) > 0 || c.Signal() != want {
			t.Errorf("%s: %v, %v", name, c.Signal(), c.Validate())
		}
	}
	for _, name := range []string{"", "KILL", "STOP", "SIGKILL", "9", "SIG", "SIGSIGTERM"} {
		if checkSignal(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestReadyRules(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ReadyRule{
		"auto": {Word: true, Alive: time.Second}, "pipe": {Word: true}, "notify": {Word: true}, "5s": {Alive: 5 * time.Second}, "nonsense": {Word: true, Alive: time.Second},
	} {
		c := Default()
		c.App.Ready = text
		if got := c.ReadyRule(); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	for _, text := range []string{"", "0s", "-1s", "Notify", "5"} {
		if checkReady(text) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
