#!/bin/sh
# Runs every fuzz target of the module for the given number of inputs each.
# Not for a time: where -fuzztime is a duration, Go before 1.27 can report its
# own deadline as a failing target (golang/go#75804).
set -eu
for pkg in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
		echo "fuzz $pkg $target"
		go test "$pkg" -run xxx -fuzz "^$target\$" -fuzztime "${1:-30000}x" -fuzzminimizetime 100x
	done
done
