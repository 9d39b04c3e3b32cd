package mutations

// reads are those of linearizable reads: 6 to 8.
func reads() []Mutation {
	return []Mutation{
		{Bug: 6, Name: "read-too-early", What: "a new leader answers reads before anything of its term is committed",
			Edits: []Edit{{File: "raft/read.go", In: "func (c *Core) releaseReads(",
				Old: "if c.log.commit < c.ownFirst {", New: "if c.log.last() < c.ownFirst {"}},
			Tests: []string{"./raft"}},
		{Bug: 7, Name: "read-unconfirmed", What: "a leader answers a read at once",
			Edits: []Edit{
				{File: "raft/read.go", In: "func (c *Core) addRead(", Old: "round: c.round + 1}", New: "round: c.confirmed}"},
				{File: "raft/read.go", In: "func (c *Core) addRead(", Old: "c.beginRound()", New: "c.beginRound()\n		c.releaseReads()"}},
			Tests: []string{"./raft"}},
		{Bug: 7, Name: "read-joins-round", What: "a read shares the round of heartbeats that is under way when it comes",
			Edits: []Edit{{File: "raft/read.go", In: "func (c *Core) addRead(", Old: "round: c.round + 1}",
				New: "round: max(c.round, c.confirmed+1)}"}},
			Tests: []string{"./raft"}},
		{Bug: 8, Name: "old-reply-confirms", What: "any reply to a heartbeat confirms the newest round, also one from before a pause",
			Edits: []Edit{{File: "raft/heartbeat.go", In: "func (c *Core) onHeartbeatReply(",
				Old: "p.round = max(p.round, m.Context)", New: "p.round = c.round"}},
			Tests: []string{"./raft"}},
		{Bug: 8, Name: "leader-reads-alone", What: "whoever believes to lead reads its own state without asking",
			Edits: []Edit{{File: "node/applier.go", In: "func (n *Node) updateLinear(",
				Old: "len(st.Members.Members) == 1 && st.Members.SoleVoter(st.ID) &&", New: ""}},
			Tests: []string{"./node"}},
		{Bug: 8, Name: "follower-joins-question", What: "a follower's read joins a question to the leader that is answered already",
			Edits: []Edit{{File: "raft/read.go", In: "func (c *Core) ask(",
				Old: "n == 0 || c.asked[n-1].closed", New: "n == 0"}},
			Tests: []string{"./raft"}},
	}
}
