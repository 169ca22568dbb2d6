// Package wire defines what master and worker say to each other: the
// environment a worker is started with, the lines it writes into its heartbeat
// pipe, and the commands the master sends down the command socket.
//
// Both ends import this one definition. The pipe and the socket carry one JSON
// object per line, so that a worker can be written in any language. Nothing
// here opens, closes or blocks on a descriptor that it was not handed.
package wire
