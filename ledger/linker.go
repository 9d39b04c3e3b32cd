package ledger

import (
	"cmp"
	"sync"
)

const (
	// linkRun is how many new keys another goroutine is asked to link at a time: so many that it is worth its while to sort
	// them, and more than a batch has on a node that keeps up.
	linkRun = 16 << 10
	// linkAhead bounds how many runs wait for it; then the apply loop does.
	linkAhead = 16
)

// linker gives new keys of a memtable their places in order while the apply loop, its owner, goes on to add more. There
// is a helping goroutine when a batch is very long, as after a restart, between the first run and finish. It alone
// writes the order then.
type linker struct {
	run    int // keys, in place of linkRun; for tests
	runs   chan []freshKey
	helper sync.WaitGroup
}

// offer takes note that a memtable has grown.
func (k *linker) offer(m *memtable) {
	if len(m.fresh) < cmp.Or(k.run, linkRun) {
		return
	}
	if k.runs == nil {
		runs := make(chan []freshKey, linkAhead)
		k.helper.Go(func() {
			for fresh := range runs {
				m.order.link(fresh, &m.data)
			}
		})
		k.runs = runs
	}
	k.runs <- m.fresh
	m.fresh = make([]freshKey, 0, len(m.fresh))
}

// handOut leaves what is left to the helping goroutine, if there is one; wait returns when all keys are linked.
func (k *linker) handOut(m *memtable) {
	if k.runs == nil {
		m.link()
		return
	}
	k.runs <- m.fresh
	close(k.runs)
	m.fresh = nil
}

func (k *linker) wait() {
	if k.runs != nil {
		k.helper.Wait()
		k.runs = nil
	}
}
