package node

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
)

// State of a proposal: who may still decide about it.
const (
	queued    int32 = iota // waits to be proposed; its caller may withdraw it
	taken                  // it is in the log, or about to be
	withdrawn              // its caller gave up in time
)

// proposal is one command on its way into the log.
type proposal struct {
	data  []byte
	want  *ledger.WantKey // set when the ledger wants it and nobody waits
	state atomic.Int32
	done  chan outcome // capacity 1; nil when nobody waits
}

// outcome is what became of a proposal.
type outcome struct {
	result ledger.Result
	err    error // *Unavailable
}

func (p *proposal) resolve(o outcome) {
	if p.done != nil {
		p.done <- o
	}
}

// Write proposes cmd and returns once it is durable on a quorum and applied.
//
// Errors: *ledger.NotFoundError, *ledger.PreconditionError, ledger.ErrIdempotencyMismatch (judged when applied, nothing
// appended), *vfs.CorruptError (a segment that the command's conditions depend on is damaged, nothing appended), and
// *Unavailable, whose Reason says whether the write may still be applied.
func (n *Node) Write(ctx context.Context, cmd *ledger.Command) (ledger.Receipt, error) {
	if err := n.ledger.Check(cmd); err != nil {
		return ledger.Receipt{}, err
	}
	data, err := ledger.EncodeWrite(cmd)
	if err != nil {
		return ledger.Receipt{}, err
	}
	result, err := n.submit(ctx, data)
	if err != nil {
		return ledger.Receipt{}, err
	}
	return result.Receipt, result.Err
}

// submit queues an encoded command and waits for its outcome.
func (n *Node) submit(ctx context.Context, data []byte) (ledger.Result, error) {
	if n.Err() != nil {
		return ledger.Result{}, &Unavailable{Reason: NotReady, Detail: "this node has failed and takes no writes"}
	}
	n.awaitReady(ctx)
	size := int64(len(data))
	if waiting := n.queuedBytes.Add(size); waiting > n.opts.MaxQueueBytes && waiting > size {
		n.queuedBytes.Add(-size)
		return ledger.Result{}, &Unavailable{Reason: Overloaded, Detail: fmt.Sprintf(
			"%d bytes of writes wait already", waiting-size)}
	}
	p := &proposal{data: data, done: make(chan outcome, 1)}
	select {
	case n.proposals <- p:
	default:
		n.queuedBytes.Add(-size)
		return ledger.Result{}, &Unavailable{Reason: Overloaded, Detail: fmt.Sprintf("%d writes wait already", n.opts.MaxQueue)}
	}
	select {
	case o := <-p.done:
		return o.result, o.err
	case <-ctx.Done():
		return n.abandon(p, "the write was not confirmed in time")
	case <-n.failed:
		return n.abandon(p, "the node failed before the write was confirmed")
	case <-n.stop:
		return n.abandon(p, "the node was stopped before the write was confirmed")
	}
}

// startGrace is how long a request waits for a node that has just started and has not caught up yet.
const startGrace = 2 * time.Second

// awaitReady gives a node that has just started a moment to find its leader. It does not say whether it has: the caller
// learns that when it goes on.
func (n *Node) awaitReady(ctx context.Context) {
	select {
	case <-n.ready:
		return
	default:
	}
	timer := time.NewTimer(startGrace)
	defer timer.Stop()
	select {
	case <-n.ready:
	case <-ctx.Done():
	case <-n.failed:
	case <-n.stop:
	case <-timer.C:
	}
}

// abandon ends the wait for a proposal: it is not applied if it had not been proposed, and unknown otherwise.
func (n *Node) abandon(p *proposal, why string) (ledger.Result, error) {
	if p.state.CompareAndSwap(queued, withdrawn) {
		return ledger.Result{}, &Unavailable{Reason: Overloaded, Detail: why + "; it had not been proposed"}
	}
	select {
	case o := <-p.done: // decided in the same moment
		return o.result, o.err
	default:
		return ledger.Result{}, &Unavailable{Reason: OutcomeUnknown, Detail: why}
	}
}

// waiters are the proposals in the log whose outcome is not known, in log order. The core's MaxUncommittedBytes and
// MaxApplyingBytes bound them.
type waiters struct {
	mu    sync.Mutex
	queue []waiter
}

type waiter struct {
	at raft.Position
	p  *proposal
}

// add registers a batch whose first entry stands at first.
func (w *waiters) add(first raft.Position, batch []*proposal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range batch {
		w.queue = append(w.queue, waiter{raft.Position{Index: first.Index + uint64(i), Term: first.Term}, p})
	}
}

// pop returns the proposal that stands at an applied entry, nil when nobody waits for it. Proposals passed over, and one
// whose entry another term has taken, are lost: they will never be applied.
func (w *waiters) pop(index, term uint64) *proposal {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 && w.queue[0].at.Index <= index {
		front := w.queue[0]
		w.queue[0] = waiter{}
		w.queue = w.queue[1:]
		if front.at == (raft.Position{Index: index, Term: term}) {
			return front.p
		}
		front.p.resolve(outcome{err: &Unavailable{Reason: NoLeader, Detail: "another leader's entry took the write's place"}})
	}
	return nil
}

// drop answers all of them.
func (w *waiters) drop(err *Unavailable) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.queue {
		x.p.resolve(outcome{err: err})
	}
	w.queue = nil
}
