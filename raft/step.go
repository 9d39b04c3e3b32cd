package raft

// Step takes a message from a peer. ErrRefused leaves the core unchanged; other errors are those of the LogReader or
// ErrInvalidState, and final.
func (c *Core) Step(m Message) error {
	if c.fault != nil {
		return c.fault
	}
	if err := c.admit(m); err != nil {
		return err
	}
	c.fault = c.step(m)
	return c.fault
}

// step acts on an admitted message.
func (c *Core) step(m Message) error {
	asksForVote := m.Kind == MsgVote || m.Kind == MsgPreVote
	switch {
	case m.Term < c.term:
		c.onStale(m)
		return nil
	case asksForVote && !m.Transfer && c.hasLeader():
		// A node that hears its leader neither votes nor moves to the term of one that does not (Raft §6, thesis
		// §4.2.3).
		return nil
	case m.Term > c.term:
		c.becomeFollower(m.Term, 0)
	}
	if p := c.peer(m.From); p != nil {
		p.silent = 0
	}
	switch m.Kind {
	case MsgVote:
		return c.onVote(m)
	case MsgPreVote:
		return c.onPreVote(m)
	case MsgVoteReply, MsgPreVoteReply:
		return c.onVoteReply(m)
	case MsgAppend:
		return c.onAppend(m)
	case MsgAppendReply:
		return c.onAppendReply(m)
	case MsgHeartbeat:
		return c.onHeartbeat(m)
	case MsgHeartbeatReply:
		return c.onHeartbeatReply(m)
	case MsgSnapshot:
		return c.onSnapshot(m)
	case MsgTimeoutNow:
		return c.onTimeoutNow(m)
	case MsgReadIndex:
		c.onReadIndex(m)
	case MsgReadIndexReply:
		c.onReadIndexReply(m)
	}
	return nil
}

// onStale answers a message of an earlier term, so that its sender learns of this one: a leader that was replaced steps
// down, and so does one that this node cannot follow because it campaigned alone meanwhile. Replies need no answer.
func (c *Core) onStale(m Message) {
	var kind MessageKind
	switch m.Kind {
	case MsgVote:
		kind = MsgVoteReply
	case MsgPreVote:
		kind = MsgPreVoteReply
	case MsgAppend, MsgSnapshot:
		kind = MsgAppendReply
	case MsgHeartbeat:
		kind = MsgHeartbeatReply
	case MsgReadIndex:
		kind = MsgReadIndexReply
	default:
		return
	}
	reply := c.message(kind, m.From)
	reply.Reject = true
	switch m.Kind {
	case MsgAppend:
		reply.Index = m.Index
	case MsgReadIndex:
		reply.Context = m.Context
	}
	c.answer(reply, 0)
}

// fromLeader says that only the leader of the message's term sends such a message.
func (m *Message) fromLeader() bool {
	switch m.Kind {
	case MsgAppend, MsgHeartbeat, MsgSnapshot, MsgTimeoutNow:
		return true
	}
	return false
}

// admit refuses what must not be acted upon. A sender that is no member here is no reason: a node that lags or joins
// does not know the newer members, and votes are judged by log and term alone (thesis §4.1, §4.2.2).
func (c *Core) admit(m Message) error {
	switch {
	case m.ClusterID != c.cfg.ClusterID:
		return refused("from node %d of cluster %s", m.From, m.ClusterID)
	case m.To != c.cfg.ID:
		return refused("for node %d, this is node %d", m.To, c.cfg.ID)
	case m.From == c.cfg.ID || m.From == 0:
		return refused("from this node's own id %d", m.From)
	}
	if err := m.validate(); err != nil {
		return err
	}
	if m.Term > c.term && m.Term-c.term > maxTermStep {
		return refused("%s from node %d: no cluster gets from term %d to %d", m.Kind, m.From, c.term, m.Term)
	}
	if m.fromLeader() && m.Term == c.term && c.role == Leader {
		return refused("%s from node %d, and this node leads term %d", m.Kind, m.From, m.Term)
	}
	return c.admitSender(m)
}

// admitSender refuses members that were wiped or removed. A node that lost its data has forgotten votes and entries
// that others count on: were it believed, two leaders could win one term. One that was removed has nothing to ask,
// and its term is nobody's.
func (c *Core) admitSender(m Message) error {
	if m.fromLeader() && m.Term >= c.term {
		return nil // a majority that knows better voted for it: this node may lag, and its id be a member's again
	}
	if mb, ok := c.members.Get(m.From); ok {
		if mb.Instance != 0 && mb.Instance != m.Instance {
			return refused("%s from node %d, whose data was replaced: instance %x, recorded is %x; remove the member and "+
				"join it anew", m.Kind, m.From, m.Instance, mb.Instance)
		}
		return nil
	}
	// One that is still sent to, so that it learns of its removal, may answer.
	answers := c.peer(m.From) != nil && m.Term <= c.term
	if (c.peer(m.From) != nil || c.departed(m.From, m.Instance)) && !answers {
		return refused("%s from node %d, which was removed from the cluster", m.Kind, m.From)
	}
	return nil
}
