.PHONY: build check test stress bench bench-guard microbench

# A binary without C: it runs on any Linux of its architecture.
build:
	CGO_ENABLED=0 go build -trimpath -o bin/fugue-http ./cmd/fugue-http

test:
	go test -race -timeout 20m ./...

# What must hold before a change lands; .ci/run calls the same.
check:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt these"; exit 1; }
	go vet ./...
	cd bench && go vet ./... && go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	CGO_ENABLED=0 GOOS=darwin go build ./...

# Five million events in virtual time, then a million inputs to each fuzz target.
EVENTS ?= 5000000
SEEDS ?= 1000
INPUTS ?= 1000000
stress:
	go test ./master/pool -run TestSimulation -v -sim.events=$(EVENTS) -sim.seeds=$(SEEDS)
	sh internal/fuzz.sh $(INPUTS)

# Beside the peers that are installed (Debian: apt-get install wrk nginx-light unicorn
# puma gunicorn uwsgi-core uwsgi-plugin-python3 nodejs); writes docs/performance.md.
BENCH_ROUNDS ?= 5
BENCH_CASES ?=
BENCH_CONTENDERS ?=
bench:
	cd bench && CGO_ENABLED=0 go build -trimpath -o ../bin/bench .
	bin/bench -rounds '$(BENCH_ROUNDS)' -cases '$(BENCH_CASES)' -contenders '$(BENCH_CONTENDERS)' -out docs/performance.md

# A few ratios in under two minutes; fails far outside the noise only.
bench-guard:
	cd bench && CGO_ENABLED=0 go build -trimpath -o ../bin/bench .
	bin/bench -quick

microbench:
	go test -run xxx -bench . ./...
