package node

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
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
	// remote is set when another node waits for the outcome, and then done is nil.
	remote *remote
	since  uint64 // the tick in which the raft loop took it
	// deadline is when the raft loop gives up for the caller, in Unix nanoseconds; 0 never.
	deadline int64
	resolved atomic.Bool  // whoever sets it may send to done, once
	done     chan outcome // capacity 1; nil when nobody waits
}

// outcome is what became of a proposal.
type outcome struct {
	result ledger.Result
	err    error // *Unavailable
}

// resolve tells the caller, if there is one. Only the first outcome is heard.
func (p *proposal) resolve(o outcome) {
	if p.remote != nil {
		p.remote.resolve(o)
		return
	}
	if p.done != nil && p.resolved.CompareAndSwap(false, true) {
		p.done <- o
	}
}

func (p *proposal) expired(now int64) bool { return p.deadline != 0 && now > p.deadline }

// Write proposes cmd and returns once it is durable on a quorum and applied. The context's deadline is kept to within a
// tick, by the raft loop, without a timer for each write: a context that has a deadline and is never done is best.
//
// Errors: *ledger.NotFoundError, *ledger.PreconditionError, ledger.ErrIdempotencyMismatch (judged when applied, nothing
// appended), *vfs.CorruptError and *ledger.ColdError (a segment that the command's conditions depend on is damaged, or is
// in the object store, which cannot be read; nothing proposed), and *Unavailable, whose Reason says whether the write may
// still be applied.
func (n *Node) Write(ctx context.Context, cmd *ledger.Command) (ledger.Receipt, error) {
	p, err := n.prepareWrite(ctx, cmd)
	if err != nil {
		return ledger.Receipt{}, err
	}
	result, err := n.submit(ctx, p)
	if err != nil {
		return ledger.Receipt{}, err
	}
	return result.Receipt, result.Err
}

// prepareWrite looks up what a command depends on and encodes it. That is this node's to do, for its own clients: the
// findings hold wherever the command is proposed, and however often it is passed on.
func (n *Node) prepareWrite(ctx context.Context, cmd *ledger.Command) (*proposal, error) {
	if n.restoring.Load() {
		return nil, &Unavailable{Reason: NotReady, Detail: "this node is being rebuilt from the other members"}
	}
	found, err := n.ledger.Check(ctx, cmd)
	if err != nil {
		if ctx.Err() != nil && !isCold(err) {
			return nil, &Unavailable{Reason: Overloaded,
				Detail: "what the write depends on could not be looked up in time; it had not been proposed"}
		}
		return nil, err
	}
	data, err := ledger.EncodeFound(cmd, found)
	if err != nil {
		return nil, err
	}
	if done, ok := n.spareDone.Get().(chan outcome); ok {
		return &proposal{data: data, done: done}, nil
	}
	return newProposal(data), nil
}

func newProposal(data []byte) *proposal { return &proposal{data: data, done: make(chan outcome, 1)} }

// heard is the one outcome of a proposal that was sent; its channel is of use to another.
func (n *Node) heard(p *proposal, o outcome) (ledger.Result, error) {
	n.spareDone.Put(p.done)
	return o.result, o.err
}

// submit queues a proposal and waits for its outcome.
func (n *Node) submit(ctx context.Context, p *proposal) (ledger.Result, error) {
	if n.Err() == nil {
		n.awaitReady(ctx)
	}
	if at, ok := ctx.Deadline(); ok {
		p.deadline = at.UnixNano()
	}
	n.slowDown(ctx, len(p.data))
	if err := n.begin(p); err != nil {
		return ledger.Result{}, err
	}
	select {
	case o := <-p.done:
		return n.heard(p, o)
	case <-ctx.Done():
		return n.abandon(p, "the write was not confirmed in time")
	case <-n.ended:
		return n.abandon(p, "the node ended before the write was confirmed")
	}
}

// slowDown makes a writer wait while the ledger's flusher is behind. The caller waits, with nothing queued: the raft loop
// and whoever else is served go on.
func (n *Node) slowDown(ctx context.Context, bytes int) {
	d := n.ledger.WriteDelay(bytes)
	if d == 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done(): // which the caller finds out
	case <-n.ended:
	}
}

// begin hands a proposal to the raft loop, unless as much waits already as may. Errors: *Unavailable.
func (n *Node) begin(p *proposal) error {
	if fault := n.fault(); fault != "" {
		return &Unavailable{Reason: NotReady, Detail: "this node takes no writes: " + fault}
	}
	if refusal := n.count(p); refusal != nil {
		return refusal
	}
	n.inbox.addProposal(p)
	n.poke(n.wake)
	return nil
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
	case <-n.ended:
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
		return n.heard(p, o)
	default:
		return ledger.Result{}, &Unavailable{Reason: OutcomeUnknown, Detail: why}
	}
}
