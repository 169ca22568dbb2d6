// Package pool decides: which workers are started, asked to leave, aborted and
// killed, and when. It is a value that is stepped: Step takes the time and one
// event and returns what is to be done, as data. It starts no process, reads no
// clock and opens nothing, so that a simulation can drive it through millions
// of events in virtual time.
//
// Its owner is the one goroutine that runs the master's loop; a Pool is not
// safe for concurrent use and needs no lock. A signal changes a wish (how many
// workers, stop or not), converge moves the world one step towards the wish,
// judge finds what is past its deadline, and Deadline says when to look again.
//
// Time is a duration since any fixed moment, from a clock that never jumps back
// (CLOCK_MONOTONIC).
package pool
