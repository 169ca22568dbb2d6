package control

import "sync"

// A crowd counts who is there, and tells when nobody is.
type crowd struct {
	mu   sync.Mutex // guards all below
	n    int
	gone chan struct{} // closed when n becomes 0; nil if nobody wants to know
}

func (c *crowd) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 && c.gone != nil {
		close(c.gone)
		c.gone = nil
	}
}

// empty is closed as soon as nobody is there.
func (c *crowd) empty() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == 0 {
		nobody := make(chan struct{})
		close(nobody)
		return nobody
	}
	if c.gone == nil {
		c.gone = make(chan struct{})
	}
	return c.gone
}
