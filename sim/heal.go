package sim

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tlog"
)

// healTime bounds how long a healed cluster may take until all its members hold the same and answer, and mergeTime, until
// they have done what merges there are: each takes a good part of a second, and a long run may leave hundreds.
const (
	healTime  = 120 * time.Second // twice what a node waits that is stuck
	mergeTime = 600 * time.Second
)

// heal ends all faults, starts all that is down, and waits until the cluster has converged; then every node must take a
// write and a linearizable read, and what the clients were told is held against what the ledger has.
func (w *World) heal() {
	if w.failed != nil {
		return
	}
	w.faults = false
	w.links = [maxReplicas][maxReplicas]link{}
	for _, r := range w.nodes {
		r.disk.empty()
		r.disk.fail = fault{}
		w.at(0, evStart, r, 0)
	}
	if w.bucket != nil {
		w.bucket.healed = w.now
	}
	w.tell("all faults end")
	deadline := w.now + healTime
	if !w.await(deadline, "converge", w.converged) {
		return
	}
	writes := make([]*node.Pending, len(w.nodes))
	reads := make([]*node.Pending, len(w.nodes))
	asked := make([]*node.Node, len(w.nodes)) // the process that was
	ask := func(i int, r *replica) {
		asked[i] = r.node
		writes[i] = r.node.Begin(&ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: []byte("healed/" +
			strconv.FormatUint(r.id, 10)), Value: []byte("yes")}}}, r.clock().Add(requestTime))
		reads[i] = r.node.BeginBarrier(r.clock().Add(requestTime))
		r.soon(evTurn)
	}
	for i, r := range w.nodes {
		if r.node != nil {
			ask(i, r)
		}
	}
	answered := func() bool {
		all := true
		for i, r := range w.nodes {
			if asked[i] != nil && asked[i] != r.node { // it ended, to rebuild its state, and does not remember
				if all = false; r.node != nil {
					ask(i, r)
				}
				continue
			}
			for _, p := range []*node.Pending{writes[i], reads[i]} {
				if p == nil {
					continue
				}
				_, err, done := p.Outcome()
				var refused *node.Unavailable
				switch {
				case errors.As(err, &refused) && (refused.Reason == node.DiskFull || refused.Reason == node.NotReady):
					ask(i, r) // it looks at its disk only now and then, or is being rebuilt
					all = false
				case err != nil:
					w.violated("after the heal, node %d does not answer: %w", r.id, err)
				case !done:
					all = false
				}
			}
		}
		return all
	}
	if w.await(w.now+healTime, "answer", answered) &&
		w.await(deadline+healTime, "converge", w.converged) {
		w.settleStore()
		if w.bucket == nil || w.await(w.now+mergeTime, "converge", func() bool { return w.converged() && w.merged() }) {
			w.check()
		}
	}
}

// await runs until a condition holds, which is looked at every now and then. It is a violation if it never does.
func (w *World) await(deadline time.Duration, what string, holds func() bool) bool {
	next := w.now
	ok := false
	w.run(func() bool {
		if w.now >= next {
			next = w.now + 50*time.Millisecond
			ok = holds()
		}
		return ok || w.now >= deadline
	})
	if w.failed == nil && !ok {
		w.violated("the healed cluster does not %s: %s", what, w.describe())
	}
	return ok && w.failed == nil
}

// converged says whether the operator and the clients are through, and all machines hold the same as the leader.
func (w *World) converged() bool {
	if !w.admin.idle() {
		return false
	}
	for i := range w.clients {
		if w.clients[i].op >= 0 {
			return false
		}
	}
	var first node.Probe
	for _, r := range w.nodes {
		if r.id == 0 {
			continue
		}
		if r.node == nil {
			return false
		}
		p := r.node.Probe()
		if first.Last == 0 {
			first = p
		}
		if p.Leader == 0 || p.Leader != first.Leader || p.Term != first.Term || p.Last != first.Last ||
			p.Applied != p.Last || p.Commit != p.Last || r.node.Ledger() == nil {
			return false
		}
	}
	return true
}

// merged says whether every machine has done the merges that it knows of. One that is behind by more than the time for which the
// objects of their inputs stay, as all are that have just leapt over hours, cannot read those until then.
func (w *World) merged() bool {
	for _, r := range w.nodes {
		if r.node != nil && !r.node.Ledger().MergesDone() {
			return false
		}
	}
	return true
}

// describe says how every machine is.
func (w *World) describe() string {
	var out []byte
	for _, r := range w.nodes {
		if r.id == 0 {
			continue
		}
		if r.node == nil {
			out = fmt.Appendf(out, "node %d is down; ", r.id)
			continue
		}
		p := r.node.Probe()
		out = fmt.Appendf(out, "node %d: %s of term %d, leader %d, commit %d, applied %d, last %d, fault %q; ", r.id, p.Role,
			p.Term, p.Leader, p.Commit, p.Applied, p.Last, r.node.Status().Fault)
		if l := r.node.Ledger(); l != nil && !l.MergesDone() {
			out = fmt.Appendf(out[:len(out)-2], ", merges not done: %v; ", l.CompactError())
		}
	}
	for i := range w.clients {
		if c := &w.clients[i]; c.op >= 0 {
			out = fmt.Appendf(out, "client %d at %s; ", i, w.history.ops[c.op].kind)
		}
	}
	if !w.admin.idle() {
		out = fmt.Appendf(out, "the operator at %s", w.admin.steps[0].name)
	}
	return string(out)
}
