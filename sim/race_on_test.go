//go:build race

package sim

// raceDetector thins out the cases: these tests are single-threaded, and the detector makes them ten times slower.
const raceDetector = true
