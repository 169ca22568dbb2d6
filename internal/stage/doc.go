// Package stage is the first thing that runs in a new worker process: a few
// steps of the master's own binary that prepare the process and then exec the
// app. Go cannot fork and go on, and posix_spawn-like attributes cannot do all
// of it, so the child does the rest itself, where an error harms nobody else.
//
// The master passes an Order in the environment; Enter, called before anything
// else in main, carries it out and does not return. Without an order Enter does
// nothing. A failure is written into the heartbeat pipe (wire.Failed), so that
// the master can say why there is no worker; the app is never run with rights
// that the order takes away.
package stage
