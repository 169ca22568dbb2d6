package sockets

import (
	"sync/atomic"
	"time"
)

// Guest is one connection in the count of a [Seat]. The zero value has not come.
type Guest struct {
	seat  *Seat
	since int64         // nanoseconds of the seat's clock
	stay  atomic.Uint32 // changed under the seat's lock
}

// What is known of a connection's stay.
const (
	unseen  = iota
	fresh   // has just come; nobody knows whether it will stay
	lasting // has been kept after a request, or for long
	left
)

// briefly is how long a connection may stay to count as one that carries a request
// and leaves. At full load the shortest request takes 10 to 20 ms, most of them before
// its worker gets to it.
const briefly = 30 * time.Millisecond

// unit is the load of one connection that lasts.
const unit = 16

// crowd counts the connections of a process. Those that last count in full. A fresh
// one counts by what became of those before it: where each carries one request and
// leaves, who holds them is no matter, and the fewer processes deal with them the
// better; where they are kept, each has to count from its first moment.
//
// [Seat] guards it.
type crowd struct {
	lasting, fresh int64
	young          []*Guest // fresh ones in order, with some that are not fresh any more
	odds           int64    // how many of oddsScale fresh connections last
}

const (
	oddsScale  = 1024
	oddsWeight = 16 // the share of one observation
)

func newCrowd() crowd { return crowd{odds: oddsScale} } // to be on the safe side

// load is in units of one connection.
func (c *crowd) load() int64 { return c.lasting*unit + c.fresh*unit*c.odds/oddsScale }

func (c *crowd) enter(g *Guest, now int64) {
	g.since = now
	g.stay.Store(fresh)
	c.fresh++
	c.young = append(c.young, g)
	c.age(now)
}

// rest: g has been kept after a request.
func (c *crowd) rest(g *Guest) {
	if g.stay.Load() == fresh {
		g.stay.Store(lasting)
		c.fresh--
		c.lasting++
		c.odds += (oddsScale - c.odds + oddsWeight - 1) / oddsWeight
	}
}

func (c *crowd) leave(g *Guest, now int64) {
	c.age(now)
	switch g.stay.Swap(left) {
	case fresh:
		c.fresh--
		c.odds -= (c.odds + oddsWeight - 1) / oddsWeight
	case lasting:
		c.lasting--
	}
}

// age finds those that have stayed for so long that they count as lasting.
func (c *crowd) age(now int64) {
	n := 0
	for _, g := range c.young {
		if g.stay.Load() == fresh && now-g.since < int64(briefly) {
			break
		}
		c.rest(g)
		n++
	}
	clear(c.young[:n]) // nothing is kept alive by the place it had
	c.young = c.young[n:]
	if len(c.young) == 0 {
		c.young = nil
	}
}
