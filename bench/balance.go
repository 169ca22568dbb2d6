package main

// balance asks whether kept connections are spread, opened at once and one by one.
func balance(l *lab, r *report) error {
	list := []contender{ours.with(4), naive.with(4)}
	r.unit = "x"
	return l.takeTurns(r, list, false, func(s *server) error {
		for _, way := range []struct{ name, stagger string }{{"at once", "1us"}, {"20 ms apart", "20ms"}} {
			v, err := l.load(s, l.turn, "-stagger", way.stagger)
			if err != nil {
				return err
			}
			r.add(s.name+", opened "+way.name, unevenness(v.Who, 4))
			r.row(s.name + ", opened " + way.name).complain(v.Error)
		}
		return nil
	})
}

// unevenness is the largest share over the mean.
func unevenness(who map[string]int64, workers int) float64 {
	var most, all int64
	for _, n := range who {
		most, all = max(most, n), all+n
	}
	if all == 0 {
		return 0
	}
	return float64(most) * float64(workers) / float64(all)
}
