package pool

import "time"

// Phase is where a worker is in its life.
type Phase int

const (
	Starting Phase = iota // spawned; becomes ready, or is killed at the boot limit
	Ready                 // accepting; its beats are judged
	Draining              // told to leave; killed at its limit
	Killed                // only its exit is awaited
)

var phaseNames = [...]string{"starting", "ready", "draining", "killed"}

func (p Phase) String() string { return phaseNames[p] }

// Cause says why a worker left; it is the key of the exit counters.
type Cause int

const (
	None     Cause = iota // it has not been told to leave
	Crash                 // it ended without being told to
	Timeout               // a request in it was stuck beyond its limit and the grace
	Silent                // it did not beat in time
	Boot                  // it did not become ready
	Scale                 // fewer workers are wished for
	Reload                // a newer generation took its place, or it was of one that failed
	Memory                // it had more memory than max_memory
	Age                   // it was older than max_age
	Requests              // it had answered max_requests
	Quit                  // it left of its own accord, or everything stops

	causes
)

var causeNames = [...]string{"", "crash", "timeout", "silent", "boot", "scale", "reload", "memory", "age", "requests", "stop"}

func (c Cause) String() string { return causeNames[c] }

// worker is one process, from the wish to spawn it until its exit is taken.
type worker struct {
	slot    int
	pid     int // 0 until Spawned
	gen     int
	limits  *Limits // those of its generation
	phase   Phase
	started time.Duration
	since   time.Duration // when phase was entered
	heard   time.Duration // last word from it
	stopAt  time.Duration // when Stop is due, for one that was recalled; never when 0
	killAt  time.Duration // when Kill is due; never when 0
	begun   bool          // it has become its app
	alive   time.Duration // when it did
	greets  bool          // it said hello: only its own word makes it ready
	beats   bool          // it has beaten: its silence is judged
	cause   Cause
	why     string
	beat    Beat

	suspected time.Duration // when it was first found silent; 0 = it is not

	stuck     []stuck // overdue requests, the first reported first
	condemned bool    // it serves, but only until its successor is ready
	discarded bool    // it is of a generation whose reload failed
}

// stuck is a request that has been answered and whose handler runs on.
type stuck struct {
	id  string
	due time.Duration // when the grace is over
}

// mostStuck bounds what is remembered of one worker: enough to condemn it.
const mostStuck = 256

func (w *worker) enter(p Phase, now time.Duration) { w.phase, w.since, w.stopAt = p, now, 0 }

// heardFrom notes a sign of life.
func (w *worker) heardFrom(now time.Duration) { w.heard, w.suspected = now, 0 }

// serves says that w accepts connections or is about to.
func (w *worker) serves() bool { return w.phase == Starting || w.phase == Ready }

// shift moves w's clocks on by the time the master itself was not there.
func (w *worker) shift(gap time.Duration) {
	w.started += gap
	w.since += gap
	w.alive += gap
	w.heard += gap
	w.suspected = 0
	for i := range w.stuck {
		w.stuck[i].due += gap
	}
	if w.killAt != 0 {
		w.killAt += gap
	}
	if w.stopAt != 0 {
		w.stopAt += gap
	}
}

// slot is a worker's place and its id, which successors inherit.
type slot struct {
	failures  int           // starts in a row that came to nothing
	notBefore time.Duration // no start before
	spawns    int
}
