package pool

import "time"

// Do names what an Effect asks for. Effects are imperative; the last group only
// tells the log what changed.
type Do int

const (
	Spawn  Do = iota // start a worker for Slot, answer with Spawned or SpawnFailed
	Recall           // tell PID, which has not said that it is ready, to leave once it could be; Stop follows
	Drain            // ask PID to stop accepting, finish and leave
	Stop             // ask PID to leave now
	Abort            // SIGABRT: the Go runtime prints every goroutine
	Kill             // SIGKILL
	Exit             // all are gone: leave with Code, for the reason Why

	TellCondemned // PID is to be replaced, Why; it serves on until its successor is ready
	TellPardoned  // PID need not be replaced after all
	TellReady     // PID became ready, After its start
	TellGone      // PID is gone, Why
	TellBackoff   // Slot waits After before its next start, Why
	TellCommitted // the first worker of Gen has proven itself: Gen is in force, the others follow
	TellRolled    // every slot has a ready worker of Gen; the old ones leave now
	TellAborted   // the reload has failed, Why; Gen is in force as before
)

var doNames = [...]string{"spawn", "recall", "drain", "stop", "abort", "kill", "exit", "condemned", "pardoned", "ready", "gone", "backoff", "committed", "rolled", "aborted"}

func (d Do) String() string { return doNames[d] }

// Effect is one thing to be done about one worker.
type Effect struct {
	Do    Do
	Slot  int
	PID   int
	Gen   int
	Code  int
	After time.Duration
	Cause Cause
	Why   string
}
