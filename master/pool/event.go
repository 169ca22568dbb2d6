package pool

// Kind says what an Event reports. Events are past: they have happened, whether
// the pool likes it or not.
type Kind int

const (
	Ticked        Kind = iota // the time that Deadline named has come
	Spawned                   // Slot: the process runs as PID
	SpawnFailed               // Slot: no process could be made, Why
	BegunSaid                 // PID is past its first stage and becomes its app
	HelloSaid                 // PID will say when it is ready
	ReadySaid                 // PID accepts connections
	BeatHeard                 // PID is alive; Beat has its numbers
	OverdueSaid               // a request in PID, named ID, has exceeded its limit
	RecoveredSaid             // the handler of ID has returned after all
	DrainingSaid              // PID leaves of its own accord
	Exited                    // PID is gone, with Code or by Signal
	ScaleAsked                // N workers are wished for
	StopAsked                 // all must leave; Quick: without finishing requests
	ReloadAsked               // a new generation is to take over; Limits are its own, N its wish, -1 = as it is
	Measured                  // PID has N bytes of memory
)

var kindNames = [...]string{"tick", "spawned", "spawn-failed", "begun", "hello", "ready", "beat", "overdue", "recovered", "draining", "exited", "scale", "stop", "reload", "measured"}

func (k Kind) String() string { return kindNames[k] }

// Event is one thing that happened. The fields that a kind does not name are
// zero.
type Event struct {
	Kind   Kind
	Slot   int
	PID    int
	Gen    int    // of Spawned and SpawnFailed, as in the effect
	ID     string // of a request, unique in its worker
	N      int
	Quick  bool
	Redo   bool // of a ReloadAsked: the first worker is replaced, too, once it has proven itself
	Bare   bool // of a BeatHeard: it is alive, and says no numbers
	Code   int  // exit status, when Signal is 0
	Signal int  // the signal that ended it
	Why    string
	Beat   Beat
	Limits *Limits
}

// Beat is what a worker last said of itself. It is shown, never believed.
type Beat struct {
	InFlight    int64
	OldestMS    int64
	Connections int64
	Requests    uint64
	Stuck       int64
}
