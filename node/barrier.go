package node

import (
	"context"
	"errors"
	"sync"

	"github.com/scribe-ledger/scribe/raft"
)

// barrier is one linearizable read that waits for its index.
type barrier struct {
	done chan error // capacity 1
}

// Barrier returns once a read of the local state reflects every write acknowledged before the call: through ReadIndex
// (Raft §8), or at once where this node alone decides what commits. Errors: *Unavailable.
func (n *Node) Barrier(ctx context.Context) error {
	if n.linear.Load() {
		return nil
	}
	if n.Err() != nil {
		return &Unavailable{Reason: NotReady, Detail: "this node has failed and serves no reads"}
	}
	n.awaitReady(ctx)
	r := &barrier{done: make(chan error, 1)}
	select {
	case n.reads <- r:
	default:
		return &Unavailable{Reason: Overloaded, Detail: "too many reads wait already"}
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

// readIndex asks the core once for all reads that wait.
func (n *Node) readIndex(first *barrier) error {
	group := []*barrier{first}
	for len(group) < n.opts.MaxQueue {
		select {
		case r := <-n.reads:
			group = append(group, r)
			continue
		default:
		}
		break
	}
	n.nextRead++
	err := n.core.ReadIndex(n.nextRead)
	var notLeader *raft.NotLeaderError
	switch {
	case err == nil:
		n.pendingReads[n.nextRead] = group
		return nil
	case errors.As(err, &notLeader):
		answer(group, &Unavailable{Reason: NoLeader, Detail: notLeader.Error()})
		return nil
	case errors.Is(err, raft.ErrOverloaded):
		answer(group, &Unavailable{Reason: Overloaded, Detail: err.Error()})
		return nil
	}
	return err
}

// answerReads passes a confirmed index on to the reads that asked for it; they go on once it is applied.
func (n *Node) answerReads(s raft.ReadState) {
	group := n.pendingReads[s.Context]
	delete(n.pendingReads, s.Context)
	if s.Lost {
		answer(group, &Unavailable{Reason: NoLeader, Detail: "leadership ended before the read was confirmed"})
		return
	}
	n.applier.waiting.add(s.Index, group, &n.applier)
}

func answer(group []*barrier, err error) {
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

func (w *readers) add(index uint64, reads []*barrier, a *applier) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Looked at under the lock that release takes: an entry applied from here on finds the group.
	if a.applied.Load() >= index {
		answer(reads, nil)
		return
	}
	w.groups = append(w.groups, readGroup{index, reads})
}

func (w *readers) release(applied uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.groups[:0]
	for _, g := range w.groups {
		if g.index <= applied {
			answer(g.reads, nil)
		} else {
			kept = append(kept, g)
		}
	}
	clear(w.groups[len(kept):])
	w.groups = kept
}
