//go:build race

package httpapi

// The race detector pads every small allocation, so memory is not measured under it.
const raceDetector = true
