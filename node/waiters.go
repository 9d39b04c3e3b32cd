package node

import (
	"slices"
	"sync"

	"github.com/scribe-ledger/scribe/raft"
)

// waiters are the proposals in the log whose outcome is not known. The core's MaxUncommittedBytes and MaxApplyingBytes
// bound them.
type waiters struct {
	mu    sync.Mutex
	queue []waiter // by index
	// displaced are those at whose index this node, as the leader of a later term, has another entry. They may commit all
	// the same, under a leader that still has them (Raft figure 8), so that only what is applied there tells.
	displaced []waiter
}

type waiter struct {
	at raft.Position
	p  *proposal
}

// add registers a batch whose first entry stands at first.
func (w *waiters) add(first raft.Position, batch []*proposal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := len(w.queue); n > 0 && w.queue[n-1].at.Index >= first.Index; n-- {
		w.displaced = append(w.displaced, w.queue[n-1])
		w.queue[n-1] = waiter{}
		w.queue = w.queue[:n-1]
	}
	for i, p := range batch {
		w.queue = append(w.queue, waiter{raft.Position{Index: first.Index + uint64(i), Term: first.Term}, p})
	}
}

// pop returns the proposal that stands at an applied entry, nil when nobody waits for it, and those that are lost by it:
// another entry was applied at their place, so they never will be.
func (w *waiters) pop(at raft.Position) (p *proposal, lost []*proposal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 && w.queue[0].at.Index <= at.Index {
		front := w.queue[0]
		w.queue[0] = waiter{}
		w.queue = w.queue[1:]
		if front.at == at {
			p = front.p
		} else {
			lost = append(lost, front.p)
		}
	}
	kept := w.displaced[:0]
	for _, x := range w.displaced {
		switch {
		case x.at.Index > at.Index:
			kept = append(kept, x)
		case x.at == at:
			p = x.p
		default:
			lost = append(lost, x.p)
		}
	}
	clear(w.displaced[len(kept):])
	w.displaced = kept
	return p, lost
}

// skip takes out those up to an index whose entries this node will not apply itself, because a snapshot holds them.
func (w *waiters) skip(index uint64) (unknown []*proposal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	passed := func(x waiter) bool {
		if x.at.Index <= index {
			unknown = append(unknown, x.p)
		}
		return x.at.Index <= index
	}
	w.queue = slices.DeleteFunc(w.queue, passed)
	w.displaced = slices.DeleteFunc(w.displaced, passed)
	return unknown
}

// expire answers those whose deadline has passed. What becomes of their entries they will not learn. Other nodes look
// after the deadlines of theirs.
func (w *waiters) expire(now int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, list := range [][]waiter{w.queue, w.displaced} {
		for _, x := range list {
			if x.p.expired(now) && x.p.remote == nil {
				x.p.resolve(outcome{err: &Unavailable{Reason: OutcomeUnknown, Detail: "the write was not confirmed in time"}})
			}
		}
	}
}

func (w *waiters) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)+len(w.displaced) == 0
}

// drop answers all of them.
func (w *waiters) drop(err *Unavailable) { w.dropAfter(0, err) }

// dropAfter answers those behind an index.
func (w *waiters) dropAfter(index uint64, err *Unavailable) {
	w.mu.Lock()
	defer w.mu.Unlock()
	behind := func(x waiter) bool {
		if x.at.Index > index {
			x.p.resolve(outcome{err: err})
		}
		return x.at.Index > index
	}
	w.queue = slices.DeleteFunc(w.queue, behind)
	w.displaced = slices.DeleteFunc(w.displaced, behind)
}
