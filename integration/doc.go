// Package integration runs the real fugue-http as a user would: its program, a
// configuration file, signals, sockets, log files. Its tests wait for what a
// user would see, never for time to pass, and each ends by checking that the
// server left no process behind and logged nothing that it should not have.
package integration
