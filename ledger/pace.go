package ledger

import (
	"sync"
	"time"
)

const (
	// busyFanIn is how many times as many segments make a merge while writes come fast.
	busyFanIn = 4
	// fastFill is within what time one full memtable follows the other where writes come fast.
	fastFill = 3 * time.Second
)

// pace says whether writes come fast. Merges are wanted later then, and are wider: an entry is merged fewer times, while
// the processor is needed for what comes in. It decides what a leader proposes, and nothing that a replica builds.
type pace struct {
	mu   sync.Mutex
	last time.Time     // when a full memtable was flushed; guarded by mu
	gap  time.Duration // from the one before to it; guarded by mu
}

// flushed notes that a full memtable was flushed.
func (p *pace) flushed(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap, p.last = now.Sub(p.last), now
}

// fast says that the last two full memtables followed each other fast, and that the next one is not overdue.
func (p *pace) fast(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gap < fastFill && now.Sub(p.last) < 2*p.gap
}
