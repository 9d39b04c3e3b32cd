package node

import "github.com/scribe-ledger/scribe/raft"

// publishStatus makes the core's view of itself visible to other goroutines. For the raft loop.
func (n *Node) publishStatus() {
	st := n.core.Status()
	n.status.Store(&st)
	n.updateLinear()
	n.updatePeers(&st)
	// A founder's id is its own from the beginning. One that joined may be catching up through configurations in which
	// another node had its id.
	if m, ok := st.Members.Get(n.opts.NodeID); ok && m.Instance != 0 && m.Instance != n.Instance() &&
		len(n.identity.Founding) > 0 {
		n.refuse(wipedReason(n.opts.NodeID))
	}
	if st.Removed && !n.removed.Swap(true) {
		n.opts.Logger.Warn("this node was removed from the cluster; it serves nothing more, and its data can go")
		// Nobody tells it any more what becomes of what is not committed yet.
		n.returnParked()
		n.refuseParked(&Unavailable{Reason: NotReady, Detail: "this node was removed from the cluster; the write was not proposed"})
		n.waiters.dropAfter(st.Commit, &Unavailable{Reason: OutcomeUnknown,
			Detail: "this node was removed from the cluster before the write was confirmed"})
	}
}

// Status is a snapshot of the node's view of itself and the cluster. It never blocks.
func (n *Node) Status() Status {
	st := n.status.Load()
	size, root := n.ledger.Root()
	out := Status{
		NodeID:       n.opts.NodeID,
		ClusterID:    n.identity.ClusterID,
		LedgerID:     n.identity.ledger(),
		Role:         roleName(st, n.opts.NodeID),
		Leader:       st.Leader,
		Term:         st.Term,
		CommitIndex:  max(st.Commit, n.applier.applied.Load()),
		AppliedIndex: n.applier.applied.Load(),
		FirstIndex:   n.log.FirstIndex(),
		LastIndex:    max(st.Last, n.log.LastIndex()),
		TreeSize:     size,
		Root:         root,
		Ready:        n.isReady(),
		Fault:        n.fault(),
	}
	out.WritesFault, out.Warning = n.writesFault(), n.warning()
	for _, m := range st.Members.Members {
		out.Members = append(out.Members, n.memberStatus(st, m, out))
	}
	return out
}

// smallWriteBytes is no less than what a put of a short key takes.
const smallWriteBytes = 64

// writesFault says why even a small write would be refused; empty when it would not, or would only have to wait.
func (n *Node) writesFault() string {
	if _, refusal := n.admit(); refusal != nil {
		return refusal.Detail
	}
	return n.spaceFault()
}

// warning says what is tried again and again while nothing is refused for it yet.
func (n *Node) warning() string {
	if _, err := n.ledger.Installed(); err != nil {
		return "segments cannot be written, so the log grows; it is tried again: " + err.Error()
	}
	if d := n.shortOfSpace(); d != "" && n.status.Load().Role != raft.Leader {
		return "the disk is full: " + d + "; what it cannot store it must fetch later"
	}
	if n.diskFull.Load() {
		return "no space for the next log file; writes are refused once the present one is full"
	}
	return ""
}

func memberOf(m raft.Member) Member {
	out := Member{NodeID: m.ID, RaftAddr: m.RaftAddr, HTTPAddr: m.HTTPAddr, Voter: !m.Role.Learns(), Role: "follower"}
	if m.Role.Learns() {
		out.Role = "learner"
	}
	return out
}

func (n *Node) memberStatus(st *raft.Status, m raft.Member, own Status) Member {
	out := memberOf(m)
	if m.ID == st.Leader {
		out.Role = "leader"
	}
	peers, last := n.peerStatus(st)
	for _, p := range peers {
		if p.ID == m.ID {
			out.MatchIndex, out.Healthy = p.Match, p.Active
		}
	}
	if m.ID == n.opts.NodeID {
		out.HTTPAddr, out.RaftAddr = n.opts.HTTPAddr, n.opts.RaftAddr
		out.Healthy, out.MatchIndex = own.Fault == "", own.LastIndex
	}
	if n.isShort(m.ID) {
		out.Healthy, out.Detail = false, "its disk is full: less than the reserve is free"
	}
	out.Lag = last - min(out.MatchIndex, last)
	return out
}

func roleName(st *raft.Status, id uint64) string {
	if m, ok := st.Members.Get(id); ok && m.Role.Learns() {
		return "learner"
	}
	return st.Role.String()
}
