package raft

// Status is the core's view of itself.
type Status struct {
	ID      uint64
	Term    uint64
	Vote    uint64
	Role    Role
	Leader  uint64 // 0 when unknown
	First   uint64 // first entry held
	Last    uint64 // last entry held
	Durable uint64 // last entry that is durable here
	Commit  uint64
	Applied uint64
	Members Membership // the latest configuration in the log, which is the one in force (Raft §6)

	MembersIndex   uint64 // the entry that brought it, 0 for the founders'; of the snapshot when it is older
	MembersPending bool   // it is not committed yet, or joint
	Removed        bool   // a committed configuration does not list this node, and an earlier one did
	Transferee     uint64 // on a leader: whom it makes leader; proposals wait meanwhile

	TailBytes uint64       // what MaxUncommittedBytes bounds
	Peers     []PeerStatus // on a leader: the other members, by id
}

// PeerStatus is what a leader knows of another member.
type PeerStatus struct {
	ID            uint64
	Match         uint64 // last entry known to be durable there
	Next          uint64 // first entry to send
	Inflight      int    // append messages with entries that are under way
	State         PeerState
	Active        bool // heard within an election timeout
	NeedsSnapshot bool // what it needs is compacted here; it cannot follow by entries alone
}

// PeerState is how a leader sends to a peer.
type PeerState uint8

const (
	// PeerProbe: it is not known where the logs agree; one append at a time finds out.
	PeerProbe PeerState = iota
	// PeerReplicate: appends follow each other without waiting for answers.
	PeerReplicate
	// PeerSnapshot: it was offered a snapshot; no entries are sent until it has it.
	PeerSnapshot
)

// String returns the state in lower case.
func (s PeerState) String() string {
	switch s {
	case PeerProbe:
		return "probe"
	case PeerReplicate:
		return "replicate"
	case PeerSnapshot:
		return "snapshot"
	}
	return "unknown"
}

// Status returns the state of the moment.
func (c *Core) Status() Status {
	return Status{
		ID:        c.cfg.ID,
		Term:      c.term,
		Vote:      c.vote,
		Role:      c.role,
		Leader:    c.leader,
		First:     c.log.first(),
		Last:      c.log.last(),
		Durable:   c.log.durable,
		Commit:    c.log.commit,
		Applied:   c.log.applied,
		Members:   c.members,
		TailBytes: c.log.bytes,
		Peers:     c.peerStatus(),

		MembersIndex:   c.configs[len(c.configs)-1].index,
		MembersPending: c.membersPending(),
		Removed:        c.departed(c.cfg.ID, c.cfg.Instance),
		Transferee:     c.transferee,
	}
}

// peerStatus lists the members among the peers by id.
func (c *Core) peerStatus() []PeerStatus {
	var out []PeerStatus
	for _, p := range c.peers {
		if p.leaving == 0 {
			out = append(out, p.status(c.cfg.ElectionTicks))
		}
	}
	return out
}
