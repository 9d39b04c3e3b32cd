package node

import (
	"cmp"
	"slices"

	"github.com/scribe-ledger/scribe/raft"
)

// knownPeers returns the other members, as far as this directory tells without a state: by the configurations in the
// log, else by what the manifest says, else by who founded the cluster, or was named when this node joined it.
func (n *Node) knownPeers() []raft.Member {
	members := n.lastMembers()
	var out []raft.Member
	for _, m := range members {
		if m.ID != n.opts.NodeID && m.RaftAddr != "" {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b raft.Member) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (n *Node) lastMembers() []raft.Member {
	if entries, err := n.log.MembersEntries(); err == nil {
		for _, e := range slices.Backward(entries) {
			if m, err := raft.ParseMembership(e.Data); err == nil && len(m.Members) > 0 {
				return m.Members
			}
		}
	}
	if n.ledger != nil {
		if encoded := n.ledger.ManifestMembers(); len(encoded) > 0 {
			if m, err := raft.ParseMembership(encoded); err == nil && len(m.Members) > 0 {
				return m.Members
			}
		}
	}
	if m, err := n.identity.membership(); err == nil && len(m.Members) > 0 {
		return m.Members
	}
	out := make([]raft.Member, 0, len(n.identity.Contacts))
	for _, c := range n.identity.Contacts {
		out = append(out, raft.Member{ID: c.NodeID, Role: raft.Voter, RaftAddr: c.RaftAddr})
	}
	return out
}

func idsOf(members []raft.Member) []uint64 {
	ids := make([]uint64, len(members))
	for i, m := range members {
		ids[i] = m.ID
	}
	return ids
}
