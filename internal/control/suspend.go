package control

import "time"

// suspend keeps the door from taking clients in; the channel is closed when
// nobody is inside.
func (d *door) suspend() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	empty := d.inside.empty()
	if d.shut == nil {
		d.shut = make(chan struct{})
		_ = d.SetDeadline(time.Unix(1, 0)) // ends the Accept under way
		go d.clear(d.shut, empty)
	}
	return empty
}

// clear sends slow clients away until nobody is inside or the door is not
// suspended any more.
func (d *door) clear(over, empty <-chan struct{}) {
	tick := time.NewTicker(suspendLimit)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.turnOut(time.Now().Add(-suspendLimit))
		case <-empty:
			return
		case <-over:
			return
		case <-d.closed:
			return
		}
	}
}

func (d *door) resume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut == nil {
		return
	}
	_ = d.SetDeadline(time.Time{})
	close(d.shut)
	d.shut = nil
}

// approach waits while the door is suspended. It is false if the door is closed.
func (d *door) approach() bool {
	for {
		d.mu.Lock()
		shut := d.shut
		if shut == nil {
			d.inside.enter() // under the lock, so that suspend knows of us or we of it
		}
		d.mu.Unlock()
		if shut == nil {
			return true
		}
		select {
		case <-shut:
		case <-d.closed:
			return false
		}
	}
}
