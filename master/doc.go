// Package master runs the parent of all workers: it opens the listeners, starts
// workers through package stage, listens to their heartbeat pipes, obeys
// signals and the control socket, and performs what package pool decides.
//
// One goroutine, the one that called Run, owns all state; it waits in a single
// select and holds no lock. Every other goroutine owns one descriptor, sends
// events, and says in its comment how it ends. The loop never waits for a
// worker, a client or a disk, and never allocates for a request.
package master
