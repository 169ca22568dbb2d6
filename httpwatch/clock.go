package httpwatch

import "time"

// The watch has one timer, set to the moment at which the next request is due.
// Under load it fires about once per limit, not once per request.

// armLocked has the timer fire at due, if it would not fire before.
func (t *table) armLocked(due int64) {
	if t.armed != 0 && t.armed <= due {
		return
	}
	t.armed = due
	in := time.Duration(max(due-t.watch.now(), 0))
	if t.timer == nil {
		t.timer = time.AfterFunc(in, t.ring)
		return
	}
	t.timer.Reset(in)
}

// ring is called when the timer fires: it settles what is due.
func (t *table) ring() {
	now := t.watch.now()
	t.mu.Lock()
	t.armed = 0
	overdue := t.dueLocked(now)
	if next := t.nextLocked(); next != 0 {
		t.armLocked(next)
	}
	t.mu.Unlock()
	for _, r := range overdue {
		go r.expire() // ends when its client has been answered; that may take a moment each
	}
}

// dueLocked takes those whose time is up out of the queues. A request that has
// waited for its client gets the time back.
func (t *table) dueLocked(now int64) (overdue []*request) {
	settle := func(r *request) {
		switch left := r.limit - r.active(now); {
		case left <= 0:
			t.unscheduleLocked(r)
			r.overdue = true
			overdue = append(overdue, r)
		case r.waits():
			t.parkLocked(r)
		default:
			t.moveLocked(r, now+left)
		}
	}
	for _, c := range t.limits {
		for r := c.queue.head; r != nil && r.start+c.limit <= now; r = c.queue.head {
			settle(r)
		}
	}
	for len(t.moved) > 0 && t.moved[0].due <= now {
		settle(t.moved[0])
	}
	return overdue
}

// parkLocked sets r aside until it does not wait for its client any more: until
// then nobody can say when it is due.
func (t *table) parkLocked(r *request) {
	t.unscheduleLocked(r)
	r.parked.Store(true)
	if !r.waits() { // it has ceased to before it could see that it is parked
		t.unparkLocked(r)
	}
}

func (t *table) unpark(r *request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unparkLocked(r)
}

func (t *table) unparkLocked(r *request) {
	if r.parked.Swap(false) && r.inTable {
		now := t.watch.now()
		t.moveLocked(r, now+r.limit-r.active(now))
	}
}

// nextLocked is when the next request is due, 0 if none is.
func (t *table) nextLocked() int64 {
	next := int64(0)
	offer := func(at int64) {
		if next == 0 || at < next {
			next = at
		}
	}
	for _, c := range t.limits {
		if c.queue.head != nil {
			offer(c.queue.head.start + c.limit)
		}
	}
	if len(t.moved) > 0 {
		offer(t.moved[0].due)
	}
	return next
}

// sweepLocked starts the sweep for slow clients when there are requests. It
// ends itself when there are none.
func (t *table) sweepLocked() {
	if !t.sweeping && t.sweepEvery > 0 {
		t.sweeping = true
		time.AfterFunc(t.sweepEvery, t.sweep)
	}
}

// sweepInterval is an eighth of the shorter limit on waiting: a client is cut at
// most that much late.
func sweepInterval(opt Options) time.Duration {
	shortest := time.Duration(0)
	for _, d := range []time.Duration{opt.ReadTimeout, opt.WriteTimeout} {
		if d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	if shortest == 0 {
		return 0
	}
	return max(shortest/8, time.Millisecond)
}

// sweep looks at the requests that wait for their clients, then arranges for the
// next one; there are never two at a time.
func (t *table) sweep() {
	for _, r := range t.waiting() {
		r.judgeClient(t.watch.now())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sweeping = t.inFlight > 0; t.sweeping {
		time.AfterFunc(t.sweepEvery, t.sweep)
	}
}

func (t *table) waiting() (found []*request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range []*queue{&t.all, &t.exempt} {
		for r := q.head; r != nil; r = r.links[byStart].next {
			if r.rw != nil && r.waits() {
				found = append(found, r)
			}
		}
	}
	return found
}
