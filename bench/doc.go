// Bench runs fugue-http beside its peers on this machine and writes what it finds
// into docs/performance.md.
//
//	make bench                                   everything, about 15 minutes
//	make bench BENCH_CASES=keep-tcp,close-tcp    some cases
//	make bench BENCH_ROUNDS=9                    more rounds
//	go run ./bench -quick                        the guard: few ratios, under two minutes
//
// Contenders of a case take turns, round by round, so that what disturbs the machine
// disturbs all; compare ratios, not numbers of different runs. Server and generator
// are each in a session of their own, as in production: within one the kernel's
// scheduler (autogroup) would share the processor between them in another way.
package main
