package ledger

import "sync"

const (
	// hashRun is how many entries another goroutine is asked to hash at a time: far more work than to hand them over.
	hashRun = 64
	// hashAhead bounds how many runs wait for it; what is beyond, the apply loop hashes itself.
	hashAhead = 1024
)

// hasher computes the hashes of a memtable's entries while the apply loop, its owner, goes on to add more and to link
// them. There is a helping goroutine when a batch is long enough, between the first run and finish.
type hasher struct {
	runs   chan hashable
	helper sync.WaitGroup
}

// hashable is a run of entries by their numbers, [from, to).
type hashable struct{ from, to uint32 }

// offer takes note that a memtable has grown.
func (h *hasher) offer(m *memtable) {
	if m.versions.n < m.handed+hashRun {
		return
	}
	if h.runs == nil {
		runs := make(chan hashable, hashAhead)
		h.helper.Go(func() { hashAll(m, runs) })
		h.runs = runs
	}
	run := hashable{m.handed, m.versions.n}
	select {
	case h.runs <- run:
	default:
		m.hash(run.from, run.to)
	}
	m.handed = run.to
}

// finish returns when all entries of the memtable are hashed. It does its share of what is left.
func (h *hasher) finish(m *memtable) {
	if h.runs != nil {
		close(h.runs)
		hashAll(m, h.runs)
	}
	m.hash(m.handed, m.versions.n)
	m.handed = m.versions.n
	if h.runs != nil {
		h.helper.Wait()
		h.runs = nil
	}
}

func hashAll(m *memtable, runs <-chan hashable) {
	for r := range runs {
		m.hash(r.from, r.to)
	}
}
