package worker

import (
	"testing"
	"time"
)

func TestBeatsAreInStep(t *testing.T) {
	t.Parallel()
	const every = time.Second
	for _, now := range []time.Duration{0, 1, 99 * time.Millisecond, 100 * time.Millisecond, 12345678901, -1} {
		d := inStep(every, now)
		if d > every || d <= every-every/10-time.Millisecond || now >= 0 && (now+d)%(every/10) != 0 {
			t.Errorf("at %v the next beat comes in %v, at %v", now, d, now+d)
		}
	}
	if d := inStep(5, 3); d <= 0 || d > 5 {
		t.Errorf("a pause of 5ns became %v", d)
	}
	if a, b := clock(), clock(); a <= 0 || b < a {
		t.Errorf("the clock says %v, then %v", a, b)
	}
}
