#!/bin/sh
# Runs every fuzz target of the module for the given time each.
set -eu
for pkg in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
		echo "fuzz $pkg $target"
		go test "$pkg" -run xxx -fuzz "^$target\$" -fuzztime "${1:-10s}"
	done
done
