package mutations

// bounds are those of what is unbounded or out of range: 26, 28.
func bounds() []Mutation {
	const memory = "its memory is not bounded"
	return []Mutation{
		{Bug: 26, Name: "unbounded-queue", What: "any number of writes may wait",
			Edits: []Edit{{File: "node/parked.go", In: "func (n *Node) count(",
				Old: "if count <= int64(n.opts.MaxQueue) && (bytes <= n.opts.MaxQueueBytes || bytes == size) {",
				New: "if count > 0 {"}},
			Tests: []string{"./node"}, Unseen: memory},
		{Bug: 26, Name: "unbounded-tail", What: "a leader takes proposals, however many are not committed",
			Edits: []Edit{{File: "raft/propose.go", In: "func (c *Core) Propose(",
				Old: "if c.log.bytes > 0 && c.log.bytes+size > c.cfg.MaxUncommittedBytes {", New: "if size > MaxIndex {"}},
			Tests: []string{"./raft"}, Unseen: memory},
		{Bug: 26, Name: "unbounded-flights", What: "any number of appends may be under way to a peer",
			Edits: []Edit{{File: "raft/replicate.go", In: "func (c *Core) wants(",
				Old: "len(p.flights) < c.cfg.MaxInflightAppends && p.bytes < c.cfg.MaxInflightBytes", New: "len(p.flights) >= 0"}},
			Tests: []string{"./raft"}, Unseen: memory},
		{Bug: 26, Name: "unbounded-reads", What: "any number of reads may wait to be confirmed",
			Edits: []Edit{{File: "raft/read.go", In: "func (c *Core) ReadIndex(",
				Old: "case len(c.reads)+c.askedReads+len(c.readStates) >= c.cfg.MaxPendingReads:", New: "case c.cfg.MaxPendingReads < 0:"}},
			Tests: []string{"./raft"}, Unseen: memory},
		{Bug: 26, Name: "unbounded-inbox", What: "any number of messages may wait for the raft loop",
			Edits: []Edit{{File: "node/inbox.go", In: "func (b *inbox) addFrame(",
				Old: "n > 0 && (n >= maxFrames || b.frameBytes+f.bytes > maxBytes)", New: "n < 0"}},
			Tests: []string{"./node"}, Unseen: memory},
		{Bug: 28, Name: "term-jumps", What: "a message may move the term by any amount",
			Edits: []Edit{{File: "raft/step.go", In: "func (c *Core) admit(",
				Old: "if m.Term > c.term && m.Term-c.term > maxTermStep {", New: "if m.Term == 1<<63 {"}},
			Tests: []string{"./raft"}, Unseen: "no node in it is hostile"},
		{Bug: 28, Name: "index-out-of-range", What: "a message may name any index",
			Edits: []Edit{{File: "raft/message.go", In: "func (m Message) validate(",
				Old: "if i > MaxIndex {", New: "if i+1 == 0 {"}},
			Tests: []string{"./raft"}, Unseen: "no node in it is hostile"},
		{Bug: 28, Name: "entries-overflow", What: "the entries of a message may reach beyond the last index",
			Edits: []Edit{{File: "raft/message.go", In: "func (m Message) validate(",
				Old: "if m.Index+uint64(len(m.Entries)) > MaxIndex {", New: "if m.Index+uint64(len(m.Entries)) < m.Index {"}},
			Tests: []string{"./raft"}, Unseen: "no node in it is hostile"},
	}
}
