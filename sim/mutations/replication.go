package mutations

// replication are those of the log and its commit index: 5, 14 to 17, 20.
func replication() []Mutation {
	return []Mutation{
		{Bug: 5, Name: "figure-8", What: "an entry of any term commits once a quorum has it",
			Edits: []Edit{{File: "raft/replicate.go", In: "func (c *Core) advanceCommit(",
				Old: "if t != c.term {", New: "if t > c.term {"}},
			Tests: []string{"./raft"}},
		{Bug: 14, Name: "append-truncates", What: "an append removes what stands behind its last entry",
			Edits: []Edit{{File: "raft/append.go", In: "func (c *Core) accept(",
				Old: "	return nil\n", New: `	if n := len(entries); n > 0 && entries[n-1].Index < c.log.last() {
		c.truncate(entries[n-1].Index + 1)
	}
	return nil
`}},
			Tests: []string{"./raft"}},
		{Bug: 15, Name: "commit-unverified", What: "an append moves the commit index to the leader's, be it among entries it did not verify",
			Edits: []Edit{{File: "raft/append.go", In: "func (c *Core) onAppend(",
				Old: "c.log.commitTo(min(m.Commit, verified))", New: "c.log.commitTo(m.Commit)"}},
			Tests: []string{"./raft"}},
		{Bug: 15, Name: "heartbeat-commits", What: "a heartbeat carries the leader's commit index, and moves that of a follower that may hold other entries",
			Edits: []Edit{
				{File: "raft/heartbeat.go", In: "func (c *Core) sendHeartbeat(",
					Old: "known := min(p.match, c.log.commit)", New: "known := c.log.commit"},
				{File: "raft/heartbeat.go", In: "func (c *Core) onHeartbeat(", Old: "if held {", New: "if held || m.Commit > 0 {"}},
			Tests: []string{"./raft"}},
		{Bug: 16, Name: "match-backwards", What: "an old append reply moves match back",
			Edits: []Edit{{File: "raft/replicate.go", In: "func (c *Core) onAppendReply(",
				Old: "p.match = max(p.match, m.Index)", New: "p.match = m.Index"}},
			Tests: []string{"./raft"}},
		{Bug: 16, Name: "match-forwards", What: "a follower answers with its last entry, not with the last one that the append verified",
			Edits: []Edit{{File: "raft/append.go", In: "func (c *Core) onAppend(",
				Old: "reply.Index = verified", New: "reply.Index = c.log.last()"}},
			Tests: []string{"./raft"}},
		{Bug: 17, Name: "next-underflows", What: "each rejection, old ones too, takes one from next",
			Edits: []Edit{
				{File: "raft/replicate.go", In: "func (c *Core) onAppendRefused(",
					Old: "stale := m.Index <= p.match || (p.state == PeerProbe && m.Index != p.next-1)", New: "stale := false"},
				{File: "raft/replicate.go", In: "func (c *Core) onAppendRefused(",
					Old: "p.probe(at + 1)", New: "_ = at\n	p.probe(p.next - 1)"}},
			Tests: []string{"./raft"}},
		{Bug: 20, Name: "own-copy-in-memory", What: "a leader counts entries that it has not synced",
			Edits: []Edit{{File: "raft/replicate.go", In: "func (c *Core) matchOf(",
				Old: "return c.log.durable", New: "return c.log.last()"}},
			Tests: []string{"./raft"}},
		{Bug: 20, Name: "own-copy-handed-out", What: "a leader counts entries that it has handed to the log writer",
			Edits: []Edit{{File: "raft/replicate.go", In: "func (c *Core) matchOf(",
				Old: "return c.log.durable", New: "return c.log.written"}},
			Tests: []string{"./raft"}},
	}
}
