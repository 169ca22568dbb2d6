// Package pidfile holds the file that tells scripts which process the master
// is, and keeps a second master from starting on the same file.
//
// The file is locked (flock(2)) for as long as its owner lives, and the lock
// alone decides: a file without one is stale, whatever number it holds, and is
// replaced. No process is looked up or signalled, so a pid that was given to a
// stranger is no obstacle and no danger. What is at the path is never written
// to, only replaced or removed whole: a link to another file does it no harm.
package pidfile
