package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
)

// stopSignals can ask a program to leave. KILL and STOP cannot: they do not ask.
var stopSignals = map[string]syscall.Signal{
	"TERM":  syscall.SIGTERM,
	"QUIT":  syscall.SIGQUIT,
	"INT":   syscall.SIGINT,
	"HUP":   syscall.SIGHUP,
	"USR1":  syscall.SIGUSR1,
	"USR2":  syscall.SIGUSR2,
	"WINCH": syscall.SIGWINCH, // Apache httpd and PHP-FPM leave gracefully on it
}

// Signal is app.stop_signal; TERM if it names none, which Validate refuses.
func (c *Config) Signal() syscall.Signal {
	if sig, ok := signalNamed(c.App.StopSignal); ok {
		return sig
	}
	return syscall.SIGTERM
}

func signalNamed(name string) (syscall.Signal, bool) {
	sig, ok := stopSignals[strings.TrimPrefix(name, "SIG")]
	return sig, ok
}

func checkSignal(name string) error {
	if _, ok := signalNamed(name); ok {
		return nil
	}
	return fmt.Errorf("%q cannot be used: one of %s", name, strings.Join(slices.Sorted(maps.Keys(stopSignals)), " "))
}
