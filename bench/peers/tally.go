package main

import (
	"slices"
	"time"
)

// tally gathers what a driver sees. It belongs to one goroutine.
type tally struct {
	latencies  []uint32 // microseconds, of what succeeded within the measured time
	errors     int
	firstError string
}

func (t *tally) ok(d time.Duration) { t.latencies = append(t.latencies, uint32(d.Microseconds())) }

func (t *tally) fail(reason string) {
	if t.errors == 0 {
		t.firstError = reason
	}
	t.errors++
}

// merge adds what another goroutine saw.
func (t *tally) merge(other *tally) {
	t.latencies = append(t.latencies, other.latencies...)
	if t.errors == 0 {
		t.firstError = other.firstError
	}
	t.errors += other.errors
}

func (t *tally) outcome(elapsed time.Duration) outcome {
	slices.Sort(t.latencies)
	return outcome{ops: len(t.latencies), errors: t.errors, firstError: t.firstError, elapsed: elapsed,
		p50: t.percentile(0.50), p99: t.percentile(0.99)}
}

// percentile wants sorted latencies.
func (t *tally) percentile(p float64) time.Duration {
	if len(t.latencies) == 0 {
		return 0
	}
	return time.Duration(t.latencies[int(p*float64(len(t.latencies)-1))]) * time.Microsecond
}
