package mutations

// elections are those of votes and terms: 1 to 4, 13.
func elections() []Mutation {
	return []Mutation{
		{Bug: 1, Name: "vote-before-sync", What: "the reply to a candidate leaves before the vote is durable",
			Edits: []Edit{{File: "raft/election.go", In: "func (c *Core) onVote(",
				Old: "c.afterSync = append(c.afterSync, reply)", New: "c.messages = append(c.messages, reply)"}},
			Tests: []string{"./raft"}},
		{Bug: 1, Name: "vote-not-written", What: "a vote in a term that is durable already is not written",
			Edits: []Edit{{File: "raft/ready.go", In: "func (c *Core) hardChanged(",
				Old: " || c.vote != c.handedHard.Vote", New: ""}},
			Tests: []string{"./raft"}},
		{Bug: 1, Name: "send-before-write", What: "the log writer sends what promises durability and writes then",
			Edits: []Edit{{File: "node/writer.go", In: "func (n *Node) PersistStep(",
				Old: "if err := n.persist(&w.current); err != nil {", New: `for _, m := range w.current.afterSync {
		n.net().Send(m)
	}
	w.current.afterSync = nil
	if err := n.persist(&w.current); err != nil {`}},
			Tests: []string{"./node"}},
		{Bug: 2, Name: "vote-forgotten", What: "whoever steps down gives up the vote, be it in the same term",
			Edits: []Edit{{File: "raft/election.go", In: "func (c *Core) becomeFollower(",
				Old: "if term > c.term {", New: "if term >= c.term {"}},
			Tests: []string{"./raft"}},
		{Bug: 3, Name: "own-vote-in-memory", What: "a candidate counts its own vote, and asks the others, before it is durable",
			Edits: []Edit{
				{File: "raft/election.go", In: "func (c *Core) campaign(",
					Old: "c.votes = make(map[uint64]bool)", New: "c.votes = map[uint64]bool{c.cfg.ID: true}"},
				{File: "raft/election.go", In: "func (c *Core) askForVotes(",
					Old: "c.afterSync = append(c.afterSync, m)", New: "c.messages = append(c.messages, m)"}},
			Tests: []string{"./raft"}},
		{Bug: 4, Name: "replies-counted", What: "replies are counted, not voters",
			Edits: []Edit{{File: "raft/election.go", In: "func (c *Core) onVoteReply(",
				Old: `if _, counted := c.votes[m.From]; !counted {
		c.votes[m.From] = !m.Reject
	}`, New: `for _, mb := range c.members.Members {
		if _, counted := c.votes[mb.ID]; !counted {
			c.votes[mb.ID] = !m.Reject
			break
		}
	}`}},
			Tests: []string{"./raft"}},
		{Bug: 13, Name: "no-lease", What: "a node that hears its leader votes for another, and moves to its term",
			Edits: []Edit{{File: "raft/step.go", In: "func (c *Core) step(",
				Old: "case asksForVote && !m.Transfer && c.hasLeader():", New: "case asksForVote && m.Kind == 0:"}},
			Tests: []string{"./raft", "./node"}},
		{Bug: 13, Name: "no-pre-vote", What: "a node that hears no leader begins a term without asking first",
			Edits: []Edit{{File: "raft/core.go", In: "func (c *Core) Tick(",
				Old: "c.fault = c.preCampaign()", New: "c.fault = c.campaign(false)"}},
			Tests: []string{"./raft", "./node"}},
		{Bug: 13, Name: "removed-is-heard", What: "messages of members that were removed are acted upon",
			Edits: []Edit{{File: "raft/step.go", In: "func (c *Core) admitSender(",
				Old: "&& !answers {", New: "&& !answers && m.From == 0 {"}},
			Tests: []string{"./raft", "./node"}},
	}
}
