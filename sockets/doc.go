// Package sockets opens the addresses a server listens on, takes over those
// that systemd or a former master hands down, and keeps them fit to be shared
// by many processes.
//
// A Listener is one raw descriptor, owned by the master. It is never wrapped in
// an os.File or a net.Listener: both may clear O_NONBLOCK, a flag of the open
// description that all workers share, and a worker whose accept blocks cannot
// be drained (golang/go#24942, #43894). Workers get a copy when they are
// started, and only the master removes a socket's file: if it still is the one
// the master made. A socket that somebody listens on is never taken away.
//
// A Listener may be a group of several sockets (SO_REUSEPORT), one for each worker: all
// are the master's, each worker accepts from its own, and is handed the others to help
// with what nobody takes.
//
// On the workers' side a Gate can stop accepting without telling its server, and a
// Seat shares connections out among the workers: they say on a Board what they hold,
// in memory that the master made and nobody trusts.
package sockets
