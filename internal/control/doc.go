// Package control is the control socket: HTTP with JSON for the fugue-http
// commands and for scripts, answered by the master's loop.
//
// The server's goroutines never touch the master's state. They send an Ask and
// wait for its one Answer, with a limit; what costs time (reading /proc, asking
// the kernel for queue lengths) they do themselves, after the loop has answered.
//
// Who waits for the outcome of a reload or upgrade becomes a Waiter, a bare
// descriptor that the loop owns and the next image of the master adopts. For the
// exec between them the server is suspended, so that no client is lost in it.
package control
