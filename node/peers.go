package node

import (
	"errors"
	"fmt"
	"slices"

	"github.com/scribe-ledger/scribe/raft"
)

// ClusterID names the cluster that this node belongs to.
func (n *Node) ClusterID() string { return n.identity.ClusterID }

// LedgerID names the data that this node has. It is that of the cluster in which the ledger began, and outlives it: the
// members of a cluster that was restored have the ledger id of the one before.
func (n *Node) LedgerID() string { return n.identity.ledger() }

// Instance is the random number that tells this node's data from any other that was under its id, before or since.
func (n *Node) Instance() uint64 { return uint64(n.identity.Instance) }

// Admit says why a connection from a peer should be refused: its data was replaced, or it was removed. For the transport,
// when a peer says hello. Who is unknown is admitted: this node may be behind (thesis §4.1).
func (n *Node) Admit(from, instance uint64) error {
	members := n.status.Load().Members
	if m, ok := members.Get(from); ok {
		if m.Instance != 0 && m.Instance != instance {
			return errors.New(wipedReason(from))
		}
		return nil
	}
	if slices.Contains(members.Removed, raft.Departed{ID: from, Instance: instance}) {
		return fmt.Errorf("node %d was removed from the cluster", from)
	}
	return nil
}

// Refused learns that a peer does not let this node in. What the leader says counts more, so it is of interest only while
// none is known: a node whose data was replaced, or that was removed while it was down, hears nothing else of its cluster.
// For the transport, from any goroutine.
func (n *Node) Refused(_ uint64, reason string) {
	if st := n.status.Load(); st != nil && st.Leader == 0 && n.refused.Load() == nil { // the others will say the same
		n.refuse(reason)
	}
}

// updatePeers tells the network whom this node may send to: the other members, or, as long as it knows none, whom it was
// told of when it joined.
func (n *Node) updatePeers(st *raft.Status) {
	peers := make([]raft.Member, 0, len(st.Members.Members))
	for _, m := range st.Members.Members {
		if m.ID != n.opts.NodeID {
			peers = append(peers, m)
		}
	}
	if len(st.Members.Members) == 0 {
		for _, c := range n.identity.Contacts {
			peers = append(peers, raft.Member{ID: c.NodeID, Role: raft.Learner, RaftAddr: c.RaftAddr})
		}
	}
	// One that was just removed is still to learn that.
	for _, p := range st.Peers {
		if !hasPeer(peers, p.ID) {
			if i := slices.IndexFunc(n.peers, func(m raft.Member) bool { return m.ID == p.ID }); i >= 0 {
				peers = append(peers, n.peers[i])
			}
		}
	}
	if slices.Equal(peers, n.peers) {
		return
	}
	n.peers = peers
	n.net().SetPeers(slices.Clone(peers))
}

func hasPeer(peers []raft.Member, id uint64) bool {
	return slices.ContainsFunc(peers, func(m raft.Member) bool { return m.ID == id })
}

// connected tells a network that is new who the peers are.
func (n *Node) connected() { n.net().SetPeers(slices.Clone(n.peers)) }
