package node

import "github.com/scribe-ledger/scribe/raft"

// Probe is what the owner of a node in manual mode may look at after every step, to check the cluster from outside.
type Probe struct {
	Term    uint64
	Role    raft.Role
	Leader  uint64
	Commit  uint64
	Applied uint64 // by the ledger, which the core may not have heard of yet
	Last    uint64
	Members raft.Membership
	// Rebuilding: there is no state, it comes from the other members; nothing else is set.
	Rebuilding bool
}

// Probe reads the core. In manual mode only: otherwise the core belongs to the raft loop.
func (n *Node) Probe() Probe {
	if n.core == nil {
		return Probe{Rebuilding: true}
	}
	st := n.core.Status()
	return Probe{Term: st.Term, Role: st.Role, Leader: st.Leader, Commit: st.Commit, Applied: n.applier.applied.Load(),
		Last: st.Last, Members: st.Members}
}

// Glance is a part of Probe that costs nothing: the core's soft state, and the last entry that the ledger has applied.
func (n *Node) Glance() (soft raft.SoftState, applied uint64, rebuilding bool) {
	if n.core == nil {
		return soft, 0, true
	}
	return n.core.SoftState(), n.applier.applied.Load(), false
}

// LogReader is the log on disk. In manual mode only.
func (n *Node) LogReader() raft.LogReader { return n.log }
