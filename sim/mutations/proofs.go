package mutations

// proofs are those of hash trees, and of what a proof is held against: 45 to 47.
func proofs() []Mutation {
	out := []Mutation{
		{Bug: 45, Name: "no-separation", What: "leaves and nodes are hashed alike",
			Edits: []Edit{{File: "merkle/node.go", Old: "nodePrefix = 0x01", New: "nodePrefix = 0x00"}},
			Tests: []string{"./merkle"}},
		{Bug: 45, Name: "odd-leaf-repeated", What: "a leaf without a neighbour is its own neighbour",
			Edits: []Edit{{File: "merkle/node.go", In: "func RootOf(", Old: "	k := split(",
				New: "	if n := len(leaves); n%2 == 1 {\n		leaves = append(leaves[:n:n], leaves[n-1])\n	}\n	k := split("}},
			Tests: []string{"./merkle"}},
		{Bug: 46, Name: "any-range", What: "a client takes the proof of a segment that does not cover the entry",
			Edits: []Edit{{File: "client/check.go", In: "func checkSegment(",
				Old: "e.Record.Seq < first || e.Record.Seq > last", New: "first > last"}},
			Tests: []string{"./client"}},
		{Bug: 46, Name: "any-count", What: "a client takes the proof of a segment whose count is not that of its range",
			Edits: []Edit{{File: "client/check.go", In: "func checkSegment(",
				Old: "case s.Entries == 0 || s.Entries-1 != last-first:", New: "case s.Entries == 0:"}},
			Tests: []string{"./client"}},
		{Bug: 46, Name: "any-descriptor", What: "the ledger records a segment whose count is not that of its range",
			Edits: []Edit{{File: "tlog/segment.go", In: "func ParseDescriptor(",
				Old: " || d.LastSeq-d.FirstSeq != d.Entries-1", New: ""}},
			Tests: []string{"./tlog"}},
		{Bug: 46, Name: "any-segment", What: "a file with another root than the manifest's is opened",
			Edits: []Edit{{File: "sstable/table.go", In: "func (t *Table) expect(",
				Old: "case got.Root != want.Root:", New: "case got.Entries == 0:"}},
			Tests: []string{"./sstable"}},
		{Bug: 46, Name: "blocks-of-another", What: "the blocks of one segment pass in the file of another",
			Edits: []Edit{{File: "sstable/info.go", Old: "func saltOf(id string) uint64 { return xxhash.Sum64String(id) }",
				New: "func saltOf(id string) uint64 { return xxhash.Sum64String(id[:0]) }"}},
			Tests: []string{"./sstable"}},
		{Bug: 47, Name: "no-history", What: "a client takes any checkpoint that is newer than the one it knows",
			Edits: []Edit{{File: "client/verify.go", In: "func (c *Client) accept(",
				Old: "if pin.Origin != \"\" {\n			if err", New: "if pin.Origin != \"\" && seen.Size <= pin.Size {\n			if err"}},
			Tests: []string{"./client"}},
		{Bug: 47, Name: "root-of-the-answer", What: "the root that a proof leads to is not held against the checkpoint",
			Edits: []Edit{{File: "client/check.go", In: "func checkCheckpoint(",
				Old: "case c.Root != p.Ledger.Root:", New: "case c.Size == 0:"}},
			Tests: []string{"./client"}},
		{Bug: 47, Name: "leaf-of-the-answer", What: "a client believes the leaf hash of the answer",
			Edits: []Edit{{File: "client/check.go", In: "func checkLeaf(",
				Old: "e.Leaf = merkle.LeafHash(p.Record)", New: "e.Leaf = p.LeafHash"},
				{File: "client/check.go", In: "func checkValue(", Old: "p.ValueHash != r.ValueHash", New: "p.ValueHash == merkle.LeafHash(nil)"}},
			Tests: []string{"./client"}},
	}
	for i := range out {
		out[i].Unseen = besideClusters
	}
	return out
}
