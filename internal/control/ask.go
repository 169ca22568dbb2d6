package control

// Ask is a request that only the master's loop may answer. The loop receives it
// from a channel and replies once; Reply never blocks.
type Ask struct {
	Kind  Kind
	N     int  // Scale: workers wished for; ScaleBy: how many more or fewer
	Quick bool // Stop: without finishing requests

	// Waiter is the client of a Reload or Upgrade that wants to know the outcome,
	// else nil. The loop that does not refuse has to answer it, one day.
	Waiter *Waiter

	reply chan Answer // buffered, so that the loop never waits for a client
}

// Kind is what is asked.
type Kind int

const (
	AskStatus     Kind = iota // Answer.Status
	AskScale                  // N workers
	AskScaleBy                // N more (or fewer, when negative)
	AskStop                   // leave
	AskReopenLogs             // open the log files anew
	AskIncidents              // Answer.Incidents
	AskReload                 // read the file again and replace the workers
	AskUpgrade                // the same, and the master's own binary
)

// Answer is what came of it. A non-empty Refused says why nothing was done.
type Answer struct {
	Status  Status // for every kind: how things are now; its lists and tables are the receiver's own
	Refused string

	Incidents []Incident // newest first
}

// NewAsk returns a request and the channel that its one answer comes on.
func NewAsk(kind Kind) (Ask, <-chan Answer) {
	reply := make(chan Answer, 1)
	return Ask{Kind: kind, reply: reply}, reply
}

// Reply answers; it is called once.
func (a Ask) Reply(ans Answer) { a.reply <- ans }
