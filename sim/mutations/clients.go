package mutations

// clients are those of what clients are told, and of applying: 21 to 25.
func clients() []Mutation {
	return []Mutation{
		{Bug: 21, Name: "index-alone", What: "whoever waits at an index gets the outcome of the entry that is applied there",
			Edits: []Edit{{File: "node/waiters.go", In: "func (w *waiters) pop(",
				Old: "if front.at == at {", New: "if front.at.Index == at.Index {"}},
			Tests: []string{"./node"}},
		{Bug: 21, Name: "replaced-write-counts", What: "the sync of an entry that was replaced meanwhile counts for its successor",
			Edits: []Edit{{File: "raft/append.go", In: "func (c *Core) truncate(",
				Old: "c.writes[w].last = min(c.writes[w].last, i-1)", New: "_ = w"}},
			Tests: []string{"./raft"}},
		{Bug: 22, Name: "forwarded-on", What: "a node passes on what was forwarded to it",
			Edits: []Edit{{File: "node/propose.go", In: "func (n *Node) proposeParked(",
				Old: "	n.returnParked()\n", New: ""}},
			Tests: []string{"./node"}},
		{Bug: 22, Name: "any-term-forwards", What: "a node takes forwards that were meant for a leader of another term, and passes them on",
			Edits: []Edit{
				{File: "node/forward.go", In: "func (n *Node) takeForward(",
					Old: "if f.term != n.windows.term || !n.windows.first(from, f.life, f.id) {",
					New: "if n.windows.nodes == nil {\n		n.windows.lead(f.term)\n	}\n	if !n.windows.first(from, f.life, f.id) {"},
				{File: "node/propose.go", In: "func (n *Node) proposeParked(", Old: "	n.returnParked()\n", New: ""}},
			Tests: []string{"./node"}},
		{Bug: 23, Name: "forward-repeated", What: "a forward that arrives twice is proposed twice",
			Edits: []Edit{{File: "node/forward.go", In: "func (n *Node) takeForward(",
				Old: " || !n.windows.first(from, f.life, f.id)", New: ""}},
			Tests: []string{"./node"}},
		{Bug: 23, Name: "forward-guessed", What: "a forwarded write whose leader was replaced is sent to the next one without knowing",
			Edits: []Edit{{File: "node/forward.go", In: "func (n *Node) expireForwards(",
				Old: "			n.dequeue(p)\n", New: `			if !p.expired(now) {
				unclaim([]*proposal{p})
				n.parked = append(n.parked, p)
				continue
			}
			n.dequeue(p)
`}},
			Tests: []string{"./node"}},
		{Bug: 23, Name: "window-forgets", What: "the window of forwards is emptied by a forward that is far ahead, and repeats pass",
			Edits: []Edit{{File: "node/forwardwindow.go", In: "func (o *window) mark(",
				Old: "case o.high-id >= windowIDs, o.has(id):", New: "case o.high == id:"}},
			Tests: []string{"./node"}},
		{Bug: 24, Name: "timeout-is-refusal", What: "a write that is in the log and was not confirmed in time is called not applied",
			Edits: []Edit{{File: "node/waiters.go", In: "func (w *waiters) expire(",
				Old: "Reason: OutcomeUnknown", New: "Reason: Overloaded"}},
			Tests: []string{"./node"}},
		{Bug: 24, Name: "lost-leader-is-refusal", What: "a forwarded write whose leader does not answer is called not applied",
			Edits: []Edit{{File: "node/forward.go", In: "func (n *Node) expireForwards(",
				Old: "Reason: OutcomeUnknown", New: "Reason: NoLeader"}},
			Tests: []string{"./node"}},
		{Bug: 24, Name: "displaced-is-refusal", What: "a new leader calls writes of its earlier term lost as soon as it has others at their place",
			Edits: []Edit{{File: "node/waiters.go", In: "func (w *waiters) add(",
				Old: "w.displaced = append(w.displaced, w.queue[n-1])",
				New: "w.queue[n-1].p.resolve(outcome{err: &Unavailable{Reason: NoLeader, Detail: \"another entry took its place\"}})"}},
			Tests: []string{"./node"}},
		{Bug: 25, Name: "local-clock", What: "entries get the time at which they are applied",
			Edits: []Edit{{File: "ledger/apply.go", In: "func (l *Ledger) applyCommand(",
				Old: "now := max(c.time, l.lastTime)", New: "now := max(time.Now().UnixMicro(), c.time, l.lastTime)"},
				{File: "ledger/apply.go", Old: "	\"fmt\"\n", New: "	\"fmt\"\n	\"time\"\n"}},
			Tests: []string{"./ledger"}},
		{Bug: 25, Name: "map-order", What: "the entries of a batch get their seqs in the order of a map",
			Edits: []Edit{
				{File: "ledger/apply.go", In: "func (l *Ledger) applyWrite(",
					Old: "	var e Entry\n", New: `	byKey := make(map[string]WriteOp, len(w.Ops))
	for i := range w.Ops {
		byKey[string(w.Ops[i].Key)] = w.Ops[i]
	}
	w.Ops = slices.Collect(maps.Values(byKey))
	var e Entry
`},
				{File: "ledger/apply.go", Old: "	\"fmt\"\n", New: "	\"fmt\"\n	\"maps\"\n	\"slices\"\n"}},
			Tests: []string{"./ledger"}},
		{Bug: 25, Name: "judged-before-batch", What: "conditions are judged on what readers see, without the commands before in the same batch",
			Edits: []Edit{{File: "ledger/judge.go", In: "func (l *Ledger) judge(",
				Old: "found.Size, ^uint64(0)", New: "found.Size, l.published.Load()-1"}},
			Tests: []string{"./ledger"}},
	}
}
