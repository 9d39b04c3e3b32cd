package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/scribe-ledger/scribe/raft"
)

// barrier is one linearizable read that waits for its index.
type barrier struct {
	done     chan error // capacity 1
	deadline int64      // when the raft loop gives up for the caller, in Unix nanoseconds; 0 never
	since    uint64     // the tick in which the raft loop took it
}

func newBarrier() *barrier { return &barrier{done: make(chan error, 1)} }

// reads are the barriers that the raft loop has: MaxQueue bounds them, together with those that wait elsewhere.
type reads struct {
	parked []*barrier  // not asked for: no leader is known, or the core has no room
	asked  []readRound // by context
	last   uint64      // the last context used

	lostBy raft.SoftState // who led when a confirmation was lost last, and
	lostAt uint64         // the tick of that
}

// readRound are the reads that one question to the core is for.
type readRound struct {
	context uint64
	reads   []*barrier
}

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
	if fault := n.fault(); fault != "" {
		return &Unavailable{Reason: NotReady, Detail: "this node serves no reads: " + fault}
	}
	if n.waitingReads.Add(1) > int64(n.opts.MaxQueue) {
		n.waitingReads.Add(-1)
		return &Unavailable{Reason: Overloaded, Detail: "too many reads wait already"}
	}
	n.inbox.addRead(r)
	n.poke(n.wake)
	return nil
}

func (n *Node) parkReads(reads []*barrier) {
	for _, r := range reads {
		r.since = n.ticks
	}
	n.reads.parked = append(n.reads.parked, reads...)
}

// askReads asks the core once for all reads that wait. Without a leader, or room, they wait on.
func (n *Node) askReads() error {
	r := &n.reads
	if len(r.parked) == 0 || (r.lostAt == n.ticks && r.lostBy == n.core.SoftState()) {
		return nil // whoever could not confirm it cannot so soon either
	}
	err := n.core.ReadIndex(r.last + 1)
	switch {
	case err == nil:
		r.last++
		r.asked = append(r.asked, readRound{r.last, r.parked})
		r.parked = nil
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrOverloaded):
		return nil
	}
	return err
}

// answerReads passes a confirmed index on to the reads that asked for it; they go on once it is applied. Those whose
// confirmation was lost ask again.
func (n *Node) answerReads(s raft.ReadState) {
	r := &n.reads
	i, ok := slices.BinarySearchFunc(r.asked, s.Context, func(a readRound, context uint64) int {
		return cmp.Compare(a.context, context)
	})
	if !ok {
		return
	}
	group := r.asked[i].reads
	r.asked = slices.Delete(r.asked, i, i+1)
	switch {
	case s.Lost:
		r.parked = append(r.parked, group...)
		r.lostBy, r.lostAt = n.core.SoftState(), n.ticks
	case n.applier.waiting.add(s.Index, group, &n.applier):
		n.answer(group, nil)
	}
}

func (n *Node) answer(group []*barrier, err error) {
	n.waitingReads.Add(-int64(len(group)))
	for _, r := range group {
		r.done <- err
	}
}

// expireReads answers the reads whose deadline has passed, and those that have waited for a leader long enough.
func (n *Node) expireReads(now int64) {
	expired := func(r *barrier) bool {
		if r.deadline == 0 || now <= r.deadline {
			return false
		}
		n.answer([]*barrier{r}, &Unavailable{Reason: NotReady, Detail: "the read could not be confirmed in time"})
		return true
	}
	for i := range n.reads.asked {
		n.reads.asked[i].reads = slices.DeleteFunc(n.reads.asked[i].reads, expired)
	}
	n.applier.waiting.filter(expired)
	n.reads.parked = slices.DeleteFunc(n.reads.parked, func(r *barrier) bool {
		if expired(r) {
			return true
		}
		if !n.leaderless(r.since) {
			return false
		}
		n.answer([]*barrier{r}, &Unavailable{Reason: NoLeader, Detail: "no leader was found in time to confirm the read"})
		return true
	})
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

// filter drops the reads that drop says yes of, which it has answered.
func (w *readers) filter(drop func(*barrier) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.groups {
		w.groups[i].reads = slices.DeleteFunc(w.groups[i].reads, drop)
	}
}
