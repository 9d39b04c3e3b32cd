package node

import (
	"context"
	"errors"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
)

// The steps of a node are Tick, Turn, PersistStep, ApplyStep, KeepStep, FlushStep, CompactStep, FetchStep, ServeStep,
// TierStep and ScrubStep. In production goroutines call them; with Options.Manual the owner does, in any order and at any
// time, and nothing else happens. Each says whether it did something. What a step does depends on what was given to the
// node before, on Options.Now and Options.Seed, and on nothing else. An error means that the node has failed, as Err says,
// but for ErrBlocked.

// ErrBlocked is returned by PersistStep when the disk has no space for the log, and by ApplyStep when it has none to
// install a snapshot, or when the outcome of a committed write depends on a segment that the object store does not give
// now. Nothing was done that is not whole; the same step is to be tried again after a while.
var ErrBlocked = errors.New("node: a step waits for disk space, or for the object store")

// Pending is a write or a read that was begun and whose outcome is asked for later.
type Pending struct {
	n       *Node
	p       *proposal // of a write
	r       *barrier  // of a read
	done    bool
	receipt ledger.Receipt
	err     error
}

// Begin is Write without the wait, for the owner of a node in manual mode. A zero deadline is none.
func (n *Node) Begin(cmd *ledger.Command, deadline time.Time) *Pending {
	out := &Pending{n: n}
	var err error
	if out.p, err = n.prepareWrite(context.Background(), cmd); err == nil {
		if !deadline.IsZero() {
			out.p.deadline = deadline.UnixNano()
		}
		err = n.begin(out.p)
	}
	out.done, out.err = err != nil, err
	return out
}

// BeginBarrier is Barrier without the wait, for the owner of a node in manual mode. A zero deadline is none.
func (n *Node) BeginBarrier(deadline time.Time) *Pending {
	out := &Pending{n: n, done: n.linear.Load()}
	if out.done {
		return out
	}
	out.r = newBarrier()
	if !deadline.IsZero() {
		out.r.deadline = deadline.UnixNano()
	}
	out.err = n.beginRead(out.r)
	out.done = out.err != nil
	return out
}

// Outcome says what Write or Barrier would have returned, once done.
func (p *Pending) Outcome() (receipt ledger.Receipt, err error, done bool) {
	if !p.done {
		p.poll()
	}
	return p.receipt, p.err, p.done
}

func (p *Pending) poll() {
	if p.r != nil {
		select {
		case p.err = <-p.r.done:
			p.done = true
		default:
		}
		return
	}
	select {
	case o := <-p.p.done:
		p.done, p.receipt, p.err = true, o.result.Receipt, o.result.Err
		if o.err != nil {
			p.receipt, p.err = ledger.Receipt{}, o.err
		}
	default:
	}
}

// PendingChange is a change of the cluster that was begun and whose outcome is asked for later.
type PendingChange struct {
	c    *change
	done bool
	err  error
}

// BeginJoin is Join without the wait, for the owner of a node in manual mode. A zero deadline is the default one.
func (n *Node) BeginJoin(r JoinRequest, deadline time.Time) *PendingChange {
	c := newChange(changeJoin, r.NodeID)
	c.raftAddr, c.httpAddr, c.learner = r.RaftAddr, r.HTTPAddr, r.Learner
	return n.pendingChange(c, deadline)
}

// BeginLeave is Leave without the wait.
func (n *Node) BeginLeave(id uint64, deadline time.Time) *PendingChange {
	return n.pendingChange(newChange(changeLeave, id), deadline)
}

// BeginPromote is Promote without the wait.
func (n *Node) BeginPromote(id uint64, deadline time.Time) *PendingChange {
	return n.pendingChange(newChange(changePromote, id), deadline)
}

// BeginTransfer is Transfer without the wait.
func (n *Node) BeginTransfer(id uint64, deadline time.Time) *PendingChange {
	return n.pendingChange(newChange(changeTransfer, id), deadline)
}

func (n *Node) pendingChange(c *change, deadline time.Time) *PendingChange {
	if !deadline.IsZero() {
		c.deadline = deadline.UnixNano()
	}
	err := n.beginChange(c)
	return &PendingChange{c: c, done: err != nil, err: err}
}

// Outcome says what the call would have returned, once done.
func (p *PendingChange) Outcome() (err error, done bool) {
	if !p.done {
		select {
		case p.err = <-p.c.done:
			p.done = true
		default:
		}
	}
	return p.err, p.done
}

// FlushStep builds or installs the next segment. In production it is the ledger's own flusher that does so.
func (n *Node) FlushStep() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	return n.background(n.ledger.FlushStep)
}

// CompactStep removes, installs or builds the next merged segment. In production it is the ledger's own compactor that
// does so.
func (n *Node) CompactStep() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	return n.background(n.ledger.CompactStep)
}

// background does a step that is tried again when it has failed, unless this replica has diverged.
func (n *Node) background(step func() (bool, error)) (worked bool, err error) {
	worked, err = step()
	if isDiverged(err) {
		n.fail(err)
		return worked, err
	}
	return worked && err == nil, nil
}
