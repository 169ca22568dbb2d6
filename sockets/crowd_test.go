package sockets

import "testing"

func TestACrowdLearnsWhetherConnectionsLast(t *testing.T) {
	t.Parallel()
	const ms = int64(1e6)
	for _, tc := range []struct {
		name string
		do   func(*crowd)
		want int64 // load in percent of a connection
	}{
		{"nothing is known yet: it may last", func(c *crowd) { c.enter(&Guest{}, 0) }, 100},
		{"one that has left", func(c *crowd) {
			var g Guest
			c.enter(&g, 0)
			c.leave(&g, ms)
		}, 0},
		{"one of many that leave at once hardly counts", func(c *crowd) {
			leaveAtOnce(c, 200)
			c.enter(&Guest{}, 0)
		}, 1},
		{"one that rests counts, whatever others do", func(c *crowd) {
			var g Guest
			c.enter(&g, 0)
			c.rest(&g)
			leaveAtOnce(c, 200)
		}, 100},
		{"one that stays counts, without a word", func(c *crowd) {
			leaveAtOnce(c, 200)
			c.enter(&Guest{}, 0)
			var late Guest
			c.enter(&late, 50*ms)
			c.leave(&late, 50*ms)
		}, 100},
		{"one request of a loaded worker takes a while, and is one request", func(c *crowd) {
			for i := range int64(200) {
				var g Guest
				c.enter(&g, i*ms)
				c.leave(&g, i*ms+20*ms)
			}
			c.enter(&Guest{}, 300*ms)
		}, 1},
		{"leaving twice, and resting after that, is nothing", func(c *crowd) {
			var g Guest
			c.enter(&g, 0)
			c.leave(&g, 0)
			c.leave(&g, 0)
			c.rest(&g)
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCrowd()
			tc.do(&c)
			if got := (c.load()*100 + unit - 1) / unit; got > tc.want+6 || got < tc.want-1 {
				t.Errorf("load %d %% of a connection, want about %d %%", got, tc.want)
			}
		})
	}
}

func leaveAtOnce(c *crowd, n int) {
	for range n {
		var g Guest
		c.enter(&g, 0)
		c.leave(&g, 0)
	}
}

// What has left is not kept in memory by those that stay.
func TestACrowdForgetsWhoHasLeft(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	leaveAtOnce(&c, 100)
	if c.enter(&Guest{}, 0); len(c.young) != 1 {
		t.Errorf("%d are remembered, one is there", len(c.young))
	}
}
