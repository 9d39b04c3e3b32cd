package ledger

import (
	"sync"
	"time"
)

const (
	// busyFanIn is how many times as many segments make a merge while writes come fast.
	busyFanIn = 4
	// busyShare is the share of its time, one part in so many, that the flusher works where writes come fast.
	busyShare = 6
	// maxFill is in what time a full memtable follows the one before it, where writes come fast on however slow a machine.
	maxFill = 30 * time.Second
)

// pace says whether writes come fast, for the machine. Merges are wanted later then, and are wider: an entry is merged
// fewer times, while the processor is needed for what comes in. It decides what a leader proposes, and nothing that a
// replica builds.
type pace struct {
	mu   sync.Mutex
	last time.Time     // when a full memtable had been flushed; guarded by mu
	gap  time.Duration // from the one before to it; guarded by mu
	took time.Duration // how long its flush took; guarded by mu
}

// flushed notes that a full memtable was flushed.
func (p *pace) flushed(now time.Time, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap, p.last, p.took = now.Sub(p.last), now, took
}

// fast says that the last two full memtables followed each other fast, and that the next one is not overdue.
func (p *pace) fast(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gap < min(busyShare*p.took, maxFill) && now.Sub(p.last) < 2*p.gap
}
