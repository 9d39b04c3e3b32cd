package node

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/scribe-ledger/scribe/raft"
)

// barrier is one linearizable read that waits for its index.
type barrier struct {
	done     chan error // capacity 1
	deadline int64      // as that of a proposal
}

func newBarrier() *barrier { return &barrier{done: make(chan error, 1)} }

// Barrier returns once a read of the local state reflects every write acknowledged before the call: through ReadIndex
// (Raft §8), or at once where this node alone decides what commits. Errors: *Unavailable.
func (n *Node) Barrier(ctx context.Context) error {
	if n.linear.Load() {
		return nil
	}
	if n.Err() == nil {
		n.awaitReady(ctx)
	}
	r := newBarrier()
	if err := n.beginRead(r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return &Unavailable{Reason: NotReady, Detail: "the read could not be confirmed in time"}
	case <-n.ended:
		return &Unavailable{Reason: NotReady, Detail: "the node has ended"}
	}
}

// beginRead hands a read to the raft loop, unless as many wait already as may. Errors: *Unavailable.
func (n *Node) beginRead(r *barrier) error {
	if n.Err() != nil {
		return &Unavailable{Reason: NotReady, Detail: "this node has failed and serves no reads"}
	}
	if n.waitingReads.Add(1) > int64(n.opts.MaxQueue) {
		n.waitingReads.Add(-1)
		return &Unavailable{Reason: Overloaded, Detail: "too many reads wait already"}
	}
	n.inbox.addRead(r)
	n.poke(n.wake)
	return nil
}

// readIndex asks the core once for all reads that have come.
func (n *Node) readIndex(reads []*barrier) error {
	if len(reads) == 0 {
		return nil
	}
	group := slices.Clone(reads)
	n.nextRead++
	err := n.core.ReadIndex(n.nextRead)
	var notLeader *raft.NotLeaderError
	switch {
	case err == nil:
		n.pendingReads[n.nextRead] = group
		return nil
	case errors.As(err, &notLeader):
		n.answer(group, &Unavailable{Reason: NoLeader, Detail: notLeader.Error()})
		return nil
	case errors.Is(err, raft.ErrOverloaded):
		n.answer(group, &Unavailable{Reason: Overloaded, Detail: err.Error()})
		return nil
	}
	return err
}

// answerReads passes a confirmed index on to the reads that asked for it; they go on once it is applied.
func (n *Node) answerReads(s raft.ReadState) {
	group := n.pendingReads[s.Context]
	delete(n.pendingReads, s.Context)
	if s.Lost {
		n.answer(group, &Unavailable{Reason: NoLeader, Detail: "leadership ended before the read was confirmed"})
		return
	}
	if n.applier.waiting.add(s.Index, group, &n.applier) {
		n.answer(group, nil)
	}
}

func (n *Node) answer(group []*barrier, err error) {
	n.waitingReads.Add(-int64(len(group)))
	for _, r := range group {
		r.done <- err
	}
}

// readers are confirmed reads that wait until their index is applied.
type readers struct {
	mu     sync.Mutex
	groups []readGroup
}

type readGroup struct {
	index uint64
	reads []*barrier
}

// add says whether the index is applied already; if not, the reads wait for it.
func (w *readers) add(index uint64, reads []*barrier, a *applier) (applied bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Looked at under the lock that release takes: an entry applied from here on finds the group.
	if a.applied.Load() >= index {
		return true
	}
	w.groups = append(w.groups, readGroup{index, reads})
	return false
}

// release takes out the reads that may go on.
func (w *readers) release(applied uint64) (free []*barrier) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.groups[:0]
	for _, g := range w.groups {
		if g.index <= applied {
			free = append(free, g.reads...)
		} else {
			kept = append(kept, g)
		}
	}
	clear(w.groups[len(kept):])
	w.groups = kept
	return free
}
