package raft

import "errors"

// Compact tells that a durable snapshot covers the entries up to snap.Index, which are applied; its members are those
// as of that entry. It comes before they are dropped from the log: the core remembers the last one's term and asks
// the LogReader for none that it needs below. They may stay in the log for as long as the shell likes, for peers that
// lag. The newest snapshot is the one offered to a peer that needs what is gone. One that is not newer changes
// nothing. Errors: ErrInvalidState when that entry is not applied or of another term, or other members were in force;
// final.
func (c *Core) Compact(snap Snapshot) error {
	if c.fault == nil && snap.Index > c.log.start.Index {
		c.fault = c.compact(snap)
	}
	return c.fault
}

func (c *Core) compact(snap Snapshot) error {
	if err := c.log.compactTo(snap.Index, snap.Term); err != nil {
		return err
	}
	if !c.membersAt(snap.Index).Equal(snap.Members) {
		return invalid("the snapshot at entry %d does not have the members that the log has", snap.Index)
	}
	if len(snap.Members.Members) > 0 { // else a node that joins has not been told of them so far
		c.snapshot = snap
	}
	c.forgetConfigs(snap)
	return nil
}

// sendOffer offers the newest snapshot to a peer that needs entries which are gone here. Only its metadata travel; the
// peer fetches the content by other ways and answers once it has it. Until then no entries are sent.
func (c *Core) sendOffer(p *peer) {
	p.offerDue, p.offerIn = false, c.cfg.ElectionTicks
	if len(c.snapshot.Members.Members) == 0 || c.snapshot.Index == 0 {
		return // there is none; a later one will do
	}
	m := c.message(MsgSnapshot, p.id)
	snap := c.snapshot
	m.Snapshot = &snap
	c.messages = append(c.messages, m)
}

// onSnapshot passes an offer on to the shell, once, unless the log holds what the snapshot covers. Nothing is given
// up for it: entries may still arrive from another leader before the content is here.
func (c *Core) onSnapshot(m Message) error {
	c.becomeFollower(m.Term, m.From)
	reply := c.message(MsgAppendReply, m.From)
	if m.Snapshot.Index > c.log.commit {
		held, err := c.matches(m.Snapshot.Index, m.Snapshot.Term)
		if err != nil {
			return err
		}
		if !held {
			offer := Offer{From: m.From, Snapshot: *m.Snapshot}
			at := Position{Index: m.Snapshot.Index, Term: m.Snapshot.Term}
			if c.offeredBy != m.From || c.offeredAt != at {
				c.offeredBy, c.offeredAt, c.offer = m.From, at, &offer
			}
			return nil
		}
		c.log.commitTo(m.Snapshot.Index) // a snapshot covers committed entries only
	}
	reply.Index = c.log.commit
	c.answer(reply, reply.Index)
	return nil
}

// Restore tells that the shell has fetched what snap describes, which some member has applied, and can install it at
// once. The next Ready asks for that by Install. If the log holds the snapshot's last entry, what follows it stays:
// it may have been acknowledged (Raft §7). False: it has no use for it, as a leader, or because the log has got there by itself
// meanwhile, and will not ask. Errors: a snapshot that is none is the caller's; ErrInvalidState and those of the LogReader
// are final.
func (c *Core) Restore(snap Snapshot) (taken bool, err error) {
	if c.fault != nil {
		return false, c.fault
	}
	if snap.Index > MaxIndex || snap.Term == 0 || snap.Term > MaxTerm || len(snap.Members.Members) == 0 {
		return false, errors.New("raft: restore: this is no snapshot of a cluster's state")
	}
	if err := snap.Members.Validate(); err != nil {
		return false, err
	}
	if snap.Index > c.log.commit && c.role != Leader {
		taken, c.fault = c.restore(snap)
	}
	return taken, c.fault
}

func (c *Core) restore(snap Snapshot) (taken bool, err error) {
	held, err := c.matches(snap.Index, snap.Term)
	if err != nil {
		return false, err
	}
	if held && snap.Index > c.log.durable {
		c.log.commitTo(snap.Index) // it is on its way to the disk, and applied from the log then
		return false, nil
	}
	leader := c.leader
	if snap.Term > c.term {
		leader = 0
	}
	c.becomeFollower(max(c.term, snap.Term), leader)
	c.log.restore(Position{Index: snap.Index, Term: snap.Term}, held)
	if !held {
		for w := range c.writes {
			c.writes[w].last = 0 // what they carry is no part of the log any more
		}
		c.rollBack(0)
	}
	c.forgetConfigs(snap)
	c.snapshot = snap
	if c.install == nil { // else this one takes the place of one that was not handed out yet
		c.installing++
	}
	c.install, c.installKeepsLog = &snap, held
	c.offer = nil
	if c.leader != 0 {
		reply := c.message(MsgAppendReply, c.leader)
		reply.Index = snap.Index
		c.afterSync = append(c.afterSync, reply)
	}
	return true, nil
}
