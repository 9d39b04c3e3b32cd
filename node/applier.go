package node

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
)

// applier is the apply loop's queue. The core's MaxApplyingBytes bounds it.
type applier struct {
	mu      sync.Mutex
	queue   []batch
	poke    chan struct{} // capacity 1
	applied atomic.Uint64 // index of the last applied entry
	term    atomic.Uint64 // its term, once one was applied in this life of the process
	waiting readers

	commands []ledger.Committed // room for those of a run; the apply loop's
	results  []ledger.Result    // theirs; the apply loop's
}

// batch is what the apply loop is to do next: install a snapshot, if there is one, and then apply entries.
type batch struct {
	install *raft.Snapshot
	entries []raft.Entry
}

func (a *applier) push(b batch) {
	a.mu.Lock()
	a.queue = append(a.queue, b)
	a.mu.Unlock()
}

func (a *applier) pop() (b batch, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return b, false
	}
	b = a.queue[0]
	a.queue[0] = batch{}
	a.queue = a.queue[1:]
	return b, true
}

// gather adds the entries of the batches that follow to one that is to be applied now: many of them at once cost less.
func (a *applier) gather(b *batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.install != nil || len(a.queue) == 0 {
		return
	}
	parts := [][]raft.Entry{b.entries}
	for len(a.queue) > 0 && a.queue[0].install == nil {
		parts = append(parts, a.queue[0].entries)
		a.queue[0] = batch{}
		a.queue = a.queue[1:]
	}
	b.entries = slices.Concat(parts...)
}

// pushBack gives back what pop gave.
func (a *applier) pushBack(b batch) {
	a.mu.Lock()
	a.queue = slices.Insert(a.queue, 0, b)
	a.mu.Unlock()
}

// superseded says that a snapshot waits behind what is being applied.
func (a *applier) superseded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.nextInstall() >= 0
}

// skip passes over what stands before the next snapshot, which covers it; false when there is none.
func (a *applier) skip() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.nextInstall()
	if i > 0 {
		a.queue = slices.Delete(a.queue, 0, i)
	}
	return i >= 0
}

// nextInstall is the place in the queue of the first snapshot; less than 0 when there is none. The caller holds mu.
func (a *applier) nextInstall() int {
	return slices.IndexFunc(a.queue, func(b batch) bool { return b.install != nil })
}

// runApplier is the apply loop.
func (n *Node) runApplier() {
	defer n.goroutines.Done()
	for {
		select {
		case <-n.stop:
			return
		case <-n.failed:
			return
		case <-n.applier.poke:
		}
		for worked := true; worked; {
			var err error
			switch worked, err = n.ApplyStep(); {
			case errors.Is(err, ErrBlocked):
				worked = n.pause(spaceRetry)
			case err != nil:
				return
			}
		}
	}
}

// ApplyStep is the step of the apply loop: it applies the next batch of committed entries.
func (n *Node) ApplyStep() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	b, ok := n.applier.pop()
	if !ok {
		return false, nil
	}
	if n.waiters.empty() {
		n.applier.gather(&b) // nobody waits for the first of many
	}
	if b.install != nil {
		if err = n.applySnapshot(*b.install); errors.Is(err, ledger.ErrNoRoom) {
			n.applier.pushBack(b)
			n.opts.Logger.Warn("a snapshot waits for disk space", "error", err, "retry_in", spaceRetry)
			return false, ErrBlocked
		}
	}
	if err == nil && len(b.entries) > 0 {
		var left []raft.Entry
		if left, err = n.apply(b.entries); isCold(err) {
			if n.applier.skip() { // who waits for one of them is told when it is installed
				return true, nil
			}
			n.applier.pushBack(batch{entries: left})
			n.opts.Logger.Warn("apply waits for a segment in the object store", "error", err, "retry_in", spaceRetry)
			return len(left) < len(b.entries), ErrBlocked
		}
	}
	if err != nil {
		n.fail(err)
	}
	return true, err
}

// isCold says that an error is about the object store, not about what this node has.
func isCold(err error) bool {
	var cold *ledger.ColdError
	return errors.As(err, &cold)
}

// apply applies committed entries and answers their waiters. With a *ledger.ColdError, which a ledger returns in manual mode,
// or when a snapshot waits behind the entries, come those that are left to be applied once the object store can be read.
func (n *Node) apply(entries []raft.Entry) (left []raft.Entry, err error) {
	left, wants, err := n.applyRuns(entries)
	if err != nil && !isCold(err) {
		return left, err
	}
	if done := len(entries) - len(left); done > 0 {
		last := &entries[done-1]
		n.applier.term.Store(last.Term)
		n.answer(n.applier.waiting.release(last.Index), nil)
		n.updateLinear()
		n.report(0, last.Index, wants)
		n.sendAnswers()
	}
	return left, err
}

// applyRuns applies entries, those that lie between two changes of members as one batch. It returns those that it could
// not apply, and the wants of the ledger among the others.
func (n *Node) applyRuns(entries []raft.Entry) (left []raft.Entry, wants []ledger.WantKey, err error) {
	for len(entries) > 0 {
		run := entries
		if i := slices.IndexFunc(entries, isMembers); i == 0 {
			n.ledger.SetMembers(entries[0].Data)
			run = entries[:1]
		} else if i > 0 {
			run = entries[:i]
		}
		done, err := n.applyRun(run)
		if err != nil && !isCold(err) {
			return entries, nil, err
		}
		wants, entries = n.settle(run[:done], wants), entries[done:]
		if err != nil {
			return entries, wants, err
		}
	}
	return nil, wants, nil
}

// applyRun gives the ledger the commands among entries; what becomes of each stands in results. It returns how many of the
// entries are applied: all of them, unless there is an error.
func (n *Node) applyRun(entries []raft.Entry) (done int, err error) {
	a := &n.applier
	a.commands = a.commands[:0]
	for i := range entries {
		switch e := &entries[i]; e.Kind {
		case raft.EntryNormal:
			a.commands = append(a.commands, ledger.Committed{Index: e.Index, Term: e.Term, Data: e.Data})
		case raft.EntryMembers, raft.EntryNoop:
		default:
			return 0, fmt.Errorf("apply entry %d of term %d: kind %d is not known to this version", e.Index, e.Term, e.Kind)
		}
	}
	a.results, err = n.ledger.ApplyBatch(a.commands, a.results[:0])
	clear(a.commands) // they must not hold data that nobody else does
	if err != nil {
		return beforeCommand(entries, len(a.results)), err
	}
	return len(entries), nil
}

// beforeCommand is how many entries stand before command n, counted from 0, which is among them.
func beforeCommand(entries []raft.Entry, n int) int {
	return slices.IndexFunc(entries, func(e raft.Entry) bool {
		if e.Kind == raft.EntryNormal {
			n--
		}
		return n < 0
	})
}

// settle answers the waiters of entries that were applied, and adds their wants.
func (n *Node) settle(entries []raft.Entry, wants []ledger.WantKey) []ledger.WantKey {
	if len(entries) == 0 {
		return wants
	}
	n.applier.applied.Store(entries[len(entries)-1].Index)
	results := n.applier.results
	for i := range entries {
		e := &entries[i]
		var result ledger.Result
		if e.Kind == raft.EntryNormal {
			result, results = results[0], results[1:]
		}
		p, lost := n.waiters.pop(raft.Position{Index: e.Index, Term: e.Term})
		if p != nil {
			if p.want != nil {
				wants = append(wants, *p.want)
			}
			p.resolve(outcome{result: result})
		}
		for _, p := range lost {
			n.retry(p)
		}
	}
	return wants
}

// retry gives a write whose entry will certainly never be applied to whoever leads now, as long as its caller waits.
func (n *Node) retry(p *proposal) {
	switch {
	case p.want != nil: // the ledger wants it again if it still does
	case p.remote != nil:
		p.resolve(outcome{err: errElsewhere})
	case p.expired(n.opts.Now().UnixNano()): // and was told so
	default:
		p.data = slices.Clone(p.data) // the log owns what was proposed
		if refusal := n.count(p); refusal != nil {
			p.resolve(outcome{err: refusal})
			return
		}
		p.state.Store(queued)
		n.inbox.addProposal(p)
	}
}

// updateLinear notes whether this node's applied state may be read as it is: it is the only member, has been since an
// entry that it has applied, and has applied one of its own term, and with it all that came before. Every acknowledged
// write is then applied, because it is acknowledged after it is applied. With a learner beside it that would not do: a
// learner may have applied, and served to a reader, what is committed and not applied here yet.
func (n *Node) updateLinear() {
	n.linearMu.Lock()
	defer n.linearMu.Unlock()
	st := n.status.Load()
	linear := st.Role == raft.Leader && len(st.Members.Members) == 1 && st.Members.SoleVoter(st.ID) &&
		n.applier.applied.Load() >= st.MembersIndex && n.applier.term.Load() == st.Term && n.Err() == nil
	n.linear.Store(linear)
	if linear {
		n.setReady()
	}
}
