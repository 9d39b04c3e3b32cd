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

// campaign begins a new term with a vote for oneself. The vote counts once it is durable (onDurable): a candidate that
// counted it earlier could crash, forget it and vote for another in the same term.
func (c *Core) campaign() error {
	if c.term >= MaxTerm || (c.role == Candidate && c.durableHard.Term < c.term) {
		return nil // the vote of the last attempt is not even durable: another term would not help
	}
	c.term++
	c.vote = c.cfg.ID
	c.role, c.leader = Candidate, 0
	c.votes = make(map[uint64]bool)
	c.elapsed = 0
	c.drawTimeout()
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

func (c *Core) countVotes() error {
	if c.members.Tally(c.votes) == VoteWon {
		c.becomeLeader()
	}
	return nil
}

// becomeLeader begins the reign with an empty entry: the entries of earlier terms commit through it (Raft §5.4.2, §8).
func (c *Core) becomeLeader() {
	c.role, c.leader = Leader, c.cfg.ID
	c.votes = nil
	c.elapsed = 0
	c.ownFirst = c.log.last() + 1
	c.log.append(Entry{Index: c.ownFirst, Term: c.term, Kind: EntryNoop})
}

// drawTimeout draws from [ElectionTicks, 2*ElectionTicks), so that candidates seldom collide (Raft §5.2).
func (c *Core) drawTimeout() { c.timeout = c.cfg.ElectionTicks + c.rng.IntN(c.cfg.ElectionTicks) }
