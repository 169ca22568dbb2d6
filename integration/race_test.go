//go:build race

package integration

// raceEnabled makes the programs under test be built as the tests are.
const raceEnabled = true
