package node

import (
	"time"

	"github.com/scribe-ledger/scribe/raft"
)

// Probe is what the owner of a node in manual mode may look at after every step, to check the cluster from outside.
type Probe struct {
	Term    uint64
	Role    raft.Role
	Leader  uint64
	Commit  uint64
	Applied uint64 // by the ledger, which the core may not have heard of yet
	Last    uint64
	Members raft.Membership
}

// Probe reads the core. In manual mode only: otherwise the core belongs to the raft loop.
func (n *Node) Probe() Probe {
	st := n.core.Status()
	return Probe{Term: st.Term, Role: st.Role, Leader: st.Leader, Commit: st.Commit, Applied: n.applier.applied.Load(),
		Last: st.Last, Members: st.Members}
}

// LogReader is the log on disk. In manual mode only.
func (n *Node) LogReader() raft.LogReader { return n.log }

// PendingChange is a change of the cluster that was begun and whose outcome is asked for later.
type PendingChange struct {
	c    *change
	done bool
	err  error
}

// BeginJoin is Join without the wait, for the owner of a node in manual mode.
func (n *Node) BeginJoin(r JoinRequest, deadline time.Time) *PendingChange {
	return n.beginChange(&change{op: changeJoin, id: r.NodeID, raftAddr: r.RaftAddr, httpAddr: r.HTTPAddr, learner: r.Learner},
		deadline)
}

// BeginLeave is Leave without the wait.
func (n *Node) BeginLeave(id uint64, deadline time.Time) *PendingChange {
	return n.beginChange(&change{op: changeLeave, id: id}, deadline)
}

// BeginPromote is Promote without the wait.
func (n *Node) BeginPromote(id uint64, deadline time.Time) *PendingChange {
	return n.beginChange(&change{op: changePromote, id: id}, deadline)
}

// BeginTransfer is Transfer without the wait.
func (n *Node) BeginTransfer(id uint64, deadline time.Time) *PendingChange {
	return n.beginChange(&change{op: changeTransfer, id: id}, deadline)
}

func (n *Node) beginChange(c *change, deadline time.Time) *PendingChange {
	c.deadline, c.done = deadline, make(chan error, 1)
	out := &PendingChange{c: c}
	if !n.inbox.addChange(c) {
		out.done, out.err = true, &Unavailable{Reason: Overloaded, Detail: "too many changes wait already"}
	}
	return out
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
