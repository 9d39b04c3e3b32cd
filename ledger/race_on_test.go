//go:build race

package ledger

// raceDetector leaves out what has nothing to show to the race detector.
const raceDetector = true
