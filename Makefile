.PHONY: build check test stress bench

# A binary without C: it runs on any Linux of its architecture.
build:
	CGO_ENABLED=0 go build -trimpath -o bin/fugue-http ./cmd/fugue-http

test:
	go test -race -timeout 20m ./...

# What must hold before a change lands; .ci/run calls the same.
check:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt these"; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	CGO_ENABLED=0 GOOS=darwin go build ./...

# Five million events in virtual time, then a million inputs to each fuzz target.
EVENTS ?= 5000000
SEEDS ?= 1000
INPUTS ?= 1000000
stress:
	go test ./master/pool -run TestSimulation -v -sim.events=$(EVENTS) -sim.seeds=$(SEEDS)
	sh internal/fuzz.sh $(INPUTS)

bench:
	go test -run xxx -bench . ./...
