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
	Members Membership

	TailBytes uint64       // what MaxUncommittedBytes bounds
	Peers     []PeerStatus // on a leader: the other members, by id
}

// PeerStatus is what a leader knows of another member.
type PeerStatus struct {
	ID            uint64
	Match         uint64 // last entry known to be durable there
	Next          uint64 // first entry to send
	NeedsSnapshot bool   // what it needs is compacted here; it cannot follow by entries alone
}

// Status returns the state of the moment.
func (c *Core) Status() Status {
	return Status{
		ID:        c.cfg.ID,
		Term:      c.term,
		Vote:      c.vote,
		Role:      c.role,
		Leader:    c.leader,
		First:     c.log.reader.FirstIndex(),
		Last:      c.log.last(),
		Durable:   c.log.durable,
		Commit:    c.log.commit,
		Applied:   c.log.applied,
		Members:   c.members,
		TailBytes: c.log.bytes,
		Peers:     c.peerStatus(),
	}
}
