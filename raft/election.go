package raft

// Campaign starts an election now, without asking first whether it can be won: for sole voters and tests. A leader
// stays what it is. ErrNotVoter when this node has no vote.
func (c *Core) Campaign() error {
	switch {
	case c.fault != nil:
		return c.fault
	case !c.mayCampaign():
		return ErrNotVoter
	case c.role == Leader:
		return nil
	}
	c.fault = c.campaign(false)
	return c.fault
}

// mayCampaign says whether this node has a vote, in the configuration in force or in one before it that may still be
// the decided one: it may be the only one left whose log can win, and its own vote counts only where it has one
// (thesis §4.2.2). A node whose data was replaced has none: the member of that id was another.
func (c *Core) mayCampaign() bool {
	for i := len(c.configs) - 1; i >= 0; i-- {
		mb, ok := c.configs[i].members.Get(c.cfg.ID)
		if ok && !mb.Role.Learns() && (mb.Instance == 0 || mb.Instance == c.cfg.Instance) {
			return true
		}
		if c.configs[i].index <= c.log.commit {
			break // what is before it is over
		}
	}
	return false
}

// preCampaign asks whether this node would get votes in the next term (thesis §9.6). The term begins only when a
// majority says so: a node that was cut off comes back with the term it left with, and disturbs no one.
func (c *Core) preCampaign() error {
	if c.role == Candidate && c.durableHard.Term < c.term {
		return nil // the vote of the last attempt is still on its way to the disk: one more would not help
	}
	c.becomeFollower(c.term, 0)
	c.role, c.elapsed = PreCandidate, 0
	c.drawTimeout()
	c.votes = map[uint64]bool{c.cfg.ID: true}
	return c.askForVotes(MsgPreVote, false)
}

// campaign begins a new term with a vote for oneself (Raft §5.2). The vote counts once it is durable (onDurable), and
// no one is asked before: a candidate that crashed, forgot its vote and gave another in the same term would vote
// twice.
func (c *Core) campaign(transfer bool) error {
	if c.role == Candidate && c.durableHard.Term < c.term {
		return nil // as in preCampaign
	}
	if c.term >= MaxTerm || c.log.last() >= MaxIndex {
		return invalid("no term after %d or no index after %d", c.term, c.log.last())
	}
	c.becomeFollower(c.term+1, 0)
	c.role, c.vote = Candidate, c.cfg.ID
	c.elapsed = 0
	c.drawTimeout()
	c.votes = make(map[uint64]bool)
	return c.askForVotes(MsgVote, transfer)
}

func (c *Core) askForVotes(kind MessageKind, transfer bool) error {
	last, err := c.log.lastPosition()
	if err != nil {
		return err
	}
	for _, mb := range c.members.Members {
		if mb.Role.Learns() || mb.ID == c.cfg.ID {
			continue
		}
		m := c.message(kind, mb.ID)
		m.Index, m.LogTerm, m.Transfer = last.Index, last.Term, transfer
		if kind == MsgVote {
			c.afterSync = append(c.afterSync, m)
		} else {
			c.messages = append(c.messages, m)
		}
	}
	return nil
}

// hasLeader says that this node leads, or has heard of a leader so lately that it votes for no other.
func (c *Core) hasLeader() bool {
	return c.role == Leader || (c.leader != 0 && c.elapsed < c.cfg.ElectionTicks)
}

// upToDate says whether the candidate's log holds what this one's does: a log that lacks what may be committed gets
// no vote (Raft §5.4.1).
func (c *Core) upToDate(m Message) (bool, error) {
	last, err := c.log.lastPosition()
	return m.LogTerm > last.Term || (m.LogTerm == last.Term && m.Index >= last.Index), err
}

// onVote answers a candidate: one vote a term, kept when this node steps down within it. It does not look whether
// either has a vote; the candidate counts those that its configuration gives (thesis §4.2.2).
func (c *Core) onVote(m Message) error {
	reply := c.message(MsgVoteReply, m.From)
	reply.Context = m.Instance
	complete, err := c.upToDate(m)
	if err != nil {
		return err
	}
	free := c.vote == m.From || (c.vote == 0 && c.leader == 0)
	reply.Reject = !free || !complete
	if !reply.Reject {
		c.vote = m.From
		c.elapsed = 0
	}
	c.afterSync = append(c.afterSync, reply)
	return nil
}

// onPreVote promises nothing and remembers nothing.
func (c *Core) onPreVote(m Message) error {
	reply := c.message(MsgPreVoteReply, m.From)
	reply.Context = m.Instance
	complete, err := c.upToDate(m)
	if err != nil {
		return err
	}
	reply.Reject = !complete
	c.answer(reply, 0)
	return nil
}

// onVoteReply counts a vote; a repeated reply changes nothing. One that was given to this node's id before its data was
// replaced does not count: whoever gave it would not give it to this data.
func (c *Core) onVoteReply(m Message) error {
	asked := (c.role == Candidate && m.Kind == MsgVoteReply) || (c.role == PreCandidate && m.Kind == MsgPreVoteReply)
	if !asked || m.Context != c.cfg.Instance {
		return nil
	}
	if _, counted := c.votes[m.From]; !counted {
		c.votes[m.From] = !m.Reject
	}
	return c.countVotes()
}

func (c *Core) countVotes() error {
	switch result := c.members.Tally(c.votes); {
	case result == VoteWon && c.role == PreCandidate:
		return c.campaign(false)
	case result == VoteWon:
		return c.becomeLeader()
	case result == VoteLost:
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

// becomeLeader begins the reign with an empty entry: the entries of earlier terms commit through it (Raft §5.4.2,
// §8). In a log that does not tell yet who the members are, this entry does: a node that joins is not told of the
// founding otherwise.
func (c *Core) becomeLeader() error {
	c.role, c.leader = Leader, c.cfg.ID
	c.votes = nil
	c.elapsed = 0
	c.ownFirst = c.log.last() + 1
	c.round, c.confirmed, c.transferee = 0, 0, 0
	e := Entry{Index: c.ownFirst, Term: c.term, Kind: EntryNoop}
	if c.configs[len(c.configs)-1].index == 0 {
		e.Kind, e.Data = EntryMembers, AppendMembership(nil, c.members)
	}
	c.log.append(e)
	if err := c.adopt([]Entry{e}); err != nil {
		return err
	}
	c.peers = nil
	c.setPeers()
	return nil
}

// becomeFollower steps down, or only learns of a new term or leader. The vote is given up with the term, never within
// it.
func (c *Core) becomeFollower(term, leader uint64) {
	if leader != 0 {
		c.elapsed = 0
	}
	if term == c.term && leader == c.leader && c.role == Follower {
		return
	}
	if term > c.term {
		c.term, c.vote = term, 0
	}
	if c.role != Follower {
		c.elapsed = 0
	}
	c.drawTimeout()
	c.role, c.leader = Follower, leader
	c.votes, c.peers, c.transferee = nil, nil, 0
	c.loseReads()
}

// drawTimeout draws from [ElectionTicks, ElectionMaxTicks), so that candidates seldom collide (Raft §5.2).
func (c *Core) drawTimeout() {
	c.timeout = c.cfg.ElectionTicks + c.rng.IntN(c.cfg.ElectionMaxTicks-c.cfg.ElectionTicks)
}
