//go:build !linux

package logpipe

const receiveFlags = 0 // the log process starts no children
