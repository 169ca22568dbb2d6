package pool

import "time"

const (
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second

	// A worker that ends itself this soon after it was ready never really
	// started; without a pause it would be started again a hundred times a second.
	shortLife = time.Second
)

// Signals that a process does not send itself (signal(7)): someone, perhaps the
// kernel for want of memory, ended a worker that might have lived. The numbers
// are those of POSIX.
const (
	sigHUP  = 1
	sigINT  = 2
	sigQUIT = 3
	sigKILL = 9
	sigTERM = 15
)

func fromOutside(signal int) bool {
	switch signal {
	case sigHUP, sigINT, sigQUIT, sigKILL, sigTERM:
		return true
	}
	return false
}

// startFailed notes that a worker of slot did not become ready. Before any
// worker ever was, a few of these in a row end the master: a supervisor or a
// deploy script must learn of an app that cannot start.
func (p *Pool) startFailed(now time.Duration, slot int, why string) {
	if p.leaving {
		return
	}
	p.backOff(now, slot, why)
	if p.everReady {
		return
	}
	if p.failures++; p.failures >= firstTries {
		p.giveUp(now, "no worker became ready: "+why)
	}
}

func (p *Pool) backOff(now time.Duration, slot int, why string) {
	s := p.slot(slot)
	pause := min(firstBackoff<<min(s.failures, 10), lastBackoff)
	s.failures++
	s.notBefore = now + pause
	p.do(Effect{Do: TellBackoff, Slot: slot, After: pause, Why: why})
}

func (p *Pool) giveUp(now time.Duration, why string) {
	if p.stopping {
		return
	}
	p.failRoll("the server stops")
	p.exitCode, p.exitWhy = 1, why
	p.stopping, p.leaving = true, true
	p.stopAll(now)
}
