package raft

// Campaign starts an election now. A leader stays what it is. ErrNotVoter when this node has no vote.
func (c *Core) Campaign() error {
	switch {
	case c.fault != nil:
		return c.fault
	case !c.members.IsVoter(c.cfg.ID):
		return ErrNotVoter
	case c.role == Leader:
		return nil
	}
	c.fault = c.campaign()
	return c.fault
}

// campaign begins a new term with a vote for oneself (Raft §5.2). The vote counts once it is durable (onDurable), and no
// one is asked before: a candidate that crashed, forgot its vote and gave another in the same term would vote twice.
func (c *Core) campaign() error {
	if c.role == Candidate && c.durableHard.Term < c.term {
		return nil // the vote of the last attempt is still on its way to the disk: one more would not help
	}
	if c.term >= MaxTerm || c.log.last() >= MaxIndex {
		return invalid("no term after %d or no index after %d", c.term, c.log.last())
	}
	last, err := c.log.lastPosition()
	if err != nil {
		return err
	}
	c.becomeFollower(c.term+1, 0)
	c.role, c.vote = Candidate, c.cfg.ID
	c.elapsed = 0
	c.drawTimeout()
	c.votes = make(map[uint64]bool)
	for _, mb := range c.members.Members {
		if mb.Role.Learns() || mb.ID == c.cfg.ID {
			continue
		}
		m := c.message(MsgVote, mb.ID)
		m.Index, m.LogTerm = last.Index, last.Term
		c.afterSync = append(c.afterSync, m)
	}
	return nil
}

// onVote answers a candidate. One vote a term, kept when this node steps down within it, and none for a log that lacks
// what may be committed (Raft §5.4.1).
func (c *Core) onVote(m Message) error {
	reply := c.message(MsgVoteReply, m.From)
	last, err := c.log.lastPosition()
	if err != nil {
		return err
	}
	upToDate := m.LogTerm > last.Term || (m.LogTerm == last.Term && m.Index >= last.Index)
	free := c.vote == m.From || (c.vote == 0 && c.leader == 0)
	reply.Reject = m.Term < c.term || !free || !upToDate || !c.members.IsVoter(m.From)
	if !reply.Reject {
		c.vote = m.From
		c.elapsed = 0
	}
	c.afterSync = append(c.afterSync, reply)
	return nil
}

// onVoteReply counts a vote; a repeated reply changes nothing.
func (c *Core) onVoteReply(m Message) error {
	if c.role != Candidate || m.Term < c.term {
		return nil
	}
	if _, counted := c.votes[m.From]; !counted {
		c.votes[m.From] = !m.Reject
	}
	return c.countVotes()
}

func (c *Core) countVotes() error {
	switch c.members.Tally(c.votes) {
	case VoteWon:
		return c.becomeLeader()
	case VoteLost:
		c.becomeFollower(c.term, 0)
	}
	return nil
}

// onDurable acts on what became durable: the own vote, and the own copy of entries.
func (c *Core) onDurable() error {
	switch {
	case c.role == Candidate && c.durableHard.Term == c.term && c.durableHard.Vote == c.cfg.ID:
		c.votes[c.cfg.ID] = true
		return c.countVotes()
	case c.role == Leader:
		return c.advanceCommit()
	}
	return nil
}

// becomeLeader begins the reign with an empty entry: the entries of earlier terms commit through it (Raft §5.4.2, §8).
func (c *Core) becomeLeader() error {
	c.role, c.leader = Leader, c.cfg.ID
	c.votes = nil
	c.elapsed = 0
	c.ownFirst = c.log.last() + 1
	c.peers = make(map[uint64]*peer)
	for _, mb := range c.members.Members {
		if mb.ID != c.cfg.ID {
			c.peers[mb.ID] = &peer{next: c.ownFirst}
		}
	}
	c.log.append(Entry{Index: c.ownFirst, Term: c.term, Kind: EntryNoop})
	return c.replicate()
}

// becomeFollower steps down, or only learns of a new term or leader. The vote is given up with the term, never within it.
func (c *Core) becomeFollower(term, leader uint64) {
	if term > c.term {
		c.term, c.vote = term, 0
	}
	if c.role != Follower || leader != 0 {
		c.elapsed = 0
		c.drawTimeout()
	}
	c.role, c.leader = Follower, leader
	c.votes, c.peers = nil, nil
	for _, ctx := range c.pendingReads {
		c.readStates = append(c.readStates, ReadState{Context: ctx, Lost: true})
	}
	c.pendingReads = nil
}

// drawTimeout draws from [ElectionTicks, ElectionMaxTicks), so that candidates seldom collide (Raft §5.2).
func (c *Core) drawTimeout() {
	c.timeout = c.cfg.ElectionTicks + c.rng.IntN(c.cfg.ElectionMaxTicks-c.cfg.ElectionTicks)
}
