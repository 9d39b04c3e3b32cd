package mutations

// snapshots are those of taking over another member's state: 18, 19.
func snapshots() []Mutation {
	return []Mutation{
		{Bug: 18, Name: "suffix-dropped", What: "a snapshot takes the place of the whole log, though the log goes on behind it",
			Edits: []Edit{{File: "raft/snapshot.go", In: "func (c *Core) restore(",
				Old: "leader := c.leader\n", New: "held = false\n	leader := c.leader\n"}},
			Tests: []string{"./raft"}},
		{Bug: 18, Name: "old-snapshot", What: "a snapshot is installed that the log has passed while it was fetched",
			Edits: []Edit{{File: "raft/snapshot.go", In: "func (c *Core) Restore(",
				Old: "if snap.Index > c.log.commit && c.role != Leader {", New: "if c.role != Leader {"}},
			Tests: []string{"./raft", "./node"}},
		{Bug: 18, Name: "log-overlaps-snapshot", What: "of a log that a snapshot has replaced, the writes under way still count",
			Edits: []Edit{{File: "raft/snapshot.go", In: "func (c *Core) restore(",
				Old: "c.writes[w].last = 0 ", New: "_ = w "}},
			Tests: []string{"./raft"}},
		{Bug: 19, Name: "log-first", What: "the log begins behind a snapshot before the state in front of it is durable",
			Edits: []Edit{{File: "node/install.go", In: "func (n *Node) awaitsInstall(",
				Old: "w.queue[0].Install.Index > n.snapshots.installed()", New: "w.queue[0].Install.Index == 0"}},
			Tests: []string{"./node"}},
		{Bug: 19, Name: "install-not-ended", What: "a start between the two steps of an installation does not do the second one",
			Edits: []Edit{{File: "node/restore.go", In: "func (n *Node) settleInstallation(",
				Old: "if index == note.Index && !n.logLeadsTo(index, term) {", New: "if index < note.Index {"}},
			Tests: []string{"./node"}},
	}
}
