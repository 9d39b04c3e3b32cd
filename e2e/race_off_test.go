//go:build !race

package e2e

// raceEnabled says that the tests, and so the programs under test, run under the race detector.
const raceEnabled = false
