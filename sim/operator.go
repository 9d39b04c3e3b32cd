package sim

import (
	"errors"
	"time"

	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/raft"
)

// operator is the person who looks after the members: one task at a time, each as a list of steps that are repeated
// until they hold. What it asks goes to any node that runs.
type operator struct {
	w        *World
	steps    []task // still to do, the next first
	asked    *node.PendingChange
	patience int
	nextID   uint64
}

// task is one step: it is done when do says so.
type task struct {
	name string
	// change asks a node; nil for a step of the operator's own.
	change func(n *node.Node, deadline time.Time) *node.PendingChange
	do     func() bool
	until  time.Duration // given up after that; 0: never
}

const operatorLooks = 150 * time.Millisecond

func (o *operator) begin(w *World) {
	o.w, o.nextID = w, uint64(w.plan.Nodes)
	w.at(operatorLooks, evAdmin, nil, 0)
}

// idle says whether all that was begun is done.
func (o *operator) idle() bool { return len(o.steps) == 0 }

// look goes on with the task at hand.
func (o *operator) look() {
	w := o.w
	w.at(operatorLooks, evAdmin, nil, 0)
	if o.idle() {
		return
	}
	t := o.steps[0]
	if t.until > 0 && w.now > t.until {
		o.asked = nil
		o.done()
		return
	}
	if t.change == nil {
		if t.do() {
			o.done()
		}
		return
	}
	if o.asked == nil {
		if r := w.victim(); r != nil && w.member(r) {
			o.asked, o.patience = t.change(r.node, r.clock().Add(requestTime)), operatorPatience
			r.soon(evTurn)
		}
		return
	}
	err, done := o.asked.Outcome()
	if !done {
		if o.patience--; o.patience > 0 {
			return
		}
		err = errors.New("no answer")
	}
	o.asked = nil
	w.tell("operator: %s: %v", t.name, err)
	if err == nil {
		o.done()
	}
}

// operatorPatience is how many looks the operator waits for an answer: its node may have crashed.
const operatorPatience = 40

func (o *operator) done() { o.steps = o.steps[1:] }

// members returns the configuration of the node that knows the newest one.
func (w *World) members() raft.Membership {
	var newest node.Probe
	for _, r := range w.nodes {
		if r.node != nil {
			if p := r.node.Probe(); p.Applied >= newest.Applied && len(p.Members.Members) > 0 {
				newest = p
			}
		}
	}
	return newest.Members
}

func (w *World) voters() (n int) {
	for _, m := range w.members().Members {
		if !m.Role.Learns() {
			n++
		}
	}
	return n
}

// member says whether a machine's node is one.
func (w *World) member(r *replica) bool {
	_, ok := w.members().Get(r.id)
	return ok
}

// change begins a change of the members that leaves the cluster able to bear the loss of one.
func (o *operator) change() {
	if !o.idle() || o.w.bucket.ailing() {
		return
	}
	w := o.w
	voters, machines := w.voters(), 0
	for _, r := range w.nodes {
		if r.id != 0 {
			machines++
		}
	}
	grow := voters < 3 && w.plan.Nodes > 1 || w.plan.Nodes == 1 && voters < 2 || voters < 5 && w.rand.IntN(2) == 0
	switch {
	case machines >= 8:
	case grow:
		w.fault(Members)
		o.addMember(o.freshID(), w.rand.IntN(3) == 0)
	case voters >= 3:
		w.fault(Members)
		m := w.members().Members
		out := m[w.rand.IntN(len(m))].ID
		if w.rand.IntN(2) == 0 {
			o.addMember(o.freshID(), false)
		}
		o.remove(out)
	}
}

// freshID returns an id for a new member: a new one, or one that has left.
func (o *operator) freshID() uint64 {
	o.nextID++
	if back := 1 + o.w.rand.Uint64N(o.nextID); o.w.replica(back) == nil {
		if _, ok := o.w.members().Get(back); !ok {
			return back
		}
	}
	return o.nextID
}

// addMember plans that a node on an empty machine joins, and, if it joins as a learner, is promoted or stays one.
func (o *operator) addMember(id uint64, learner bool) {
	w := o.w
	var info *node.JoinInfo
	o.plan(task{name: "ask about the cluster", do: func() bool {
		r := w.victim()
		if r == nil || !w.member(r) {
			return false
		}
		info = &node.JoinInfo{ClusterID: r.node.ClusterID(), Members: r.node.Status().Members}
		return true
	}})
	start := task{name: "start", do: func() bool {
		r := w.addReplica(id)
		r.join = info
		w.tell("node %d is to join", id)
		w.at(0, evStart, r, 0)
		return true
	}}
	request := node.JoinRequest{NodeID: id, RaftAddr: address(id, "raft"), HTTPAddr: address(id, "http"), Learner: learner}
	join := task{name: "join", change: func(n *node.Node, deadline time.Time) *node.PendingChange {
		return n.BeginJoin(request, deadline)
	}}
	if w.rand.IntN(2) == 0 {
		o.plan(start, join)
	} else {
		o.plan(join, start)
	}
	if learner && w.rand.IntN(2) == 0 {
		o.plan(task{name: "promote", change: func(n *node.Node, deadline time.Time) *node.PendingChange {
			return n.BeginPromote(id, deadline)
		}})
	}
	if !learner {
		o.plan(task{name: "wait until it votes", do: func() bool {
			m, ok := w.members().Get(id)
			return !ok || !m.Role.Learns()
		}})
	}
}

// remove plans that a member leaves and its machine is taken away, at once or after a while in which it may disturb.
func (o *operator) remove(id uint64) {
	w := o.w
	stays := w.now + w.upTo(5*time.Second)
	o.plan(task{name: "leave", change: func(n *node.Node, deadline time.Time) *node.PendingChange {
		return n.BeginLeave(id, deadline)
	}}, task{name: "take away", do: func() bool {
		r := w.replica(id)
		if r != nil && w.now < stays {
			return false
		}
		if r != nil {
			w.tell("the machine of node %d is taken away", id)
			r.end()
			r.id = 0
		}
		return true
	}})
}

func (o *operator) plan(steps ...task) { o.steps = append(o.steps, steps...) }

// transfer moves the leadership to a voter, or to any.
func (o *operator) transfer() {
	if !o.idle() || o.w.voters() < 2 {
		return
	}
	w := o.w
	w.fault(Transfer)
	members := w.members().Members
	to := members[w.rand.IntN(len(members))]
	if to.Role.Learns() || w.rand.IntN(3) == 0 {
		to.ID = 0
	}
	t := task{name: "transfer", until: w.now + 5*time.Second}
	t.change = func(n *node.Node, deadline time.Time) *node.PendingChange { return n.BeginTransfer(to.ID, deadline) }
	o.plan(t)
}

// wipe puts an empty disk into a machine. The node that starts on it is refused, under its old id; so it is removed,
// and joins anew, under the same id or another. The cluster must be able to bear it: a write that only this node and
// one that is down had is lost with it, as in any system.
func (o *operator) wipe(r *replica) {
	w := o.w
	if !o.idle() || w.voters() < 3 || !w.sound(r) || w.bucket.ailing() {
		return
	}
	w.fault(Wipe)
	w.tell("the disk of node %d is wiped", r.id)
	r.end()
	r.disk.wipe()
	r.rotten, r.wiped = false, true
	w.at(w.downtime(), evStart, r, 0)
	id := r.id
	o.remove(id)
	if w.rand.IntN(2) == 0 {
		id = o.freshID()
	}
	o.addMember(id, false)
}

// sound says whether every member runs, has all that was applied, and knows the instance of the one that is to go, and
// whether no change of the members is under way: in its midst a disk may be half of the older voters.
func (w *World) sound(gone *replica) bool {
	members := w.members()
	if members.Joint() {
		return false
	}
	most := uint64(len(w.raft.applied))
	for _, m := range members.Members {
		r := w.replica(m.ID)
		if r == nil || r.node == nil || r.rotten || r.wiped {
			return false
		}
		p := r.node.Probe()
		known, ok := p.Members.Get(gone.id)
		if p.Applied < most || !p.Members.Equal(members) || !ok || known.Instance != gone.node.Instance() || m.Role.Learns() {
			return false
		}
	}
	return true
}
