package fsck

import (
	"slices"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
)

// window holds the leaf hashes of a run of seqs. One serves all segments.
type window struct {
	first  uint64
	leaves []merkle.Hash
	size   uint64 // of a full one, in the current segment
	order  []uint64
}

// begin makes it that of the first seqs of a segment.
func (w *window) begin(first, entries, most uint64) {
	w.first, w.size = first, min(entries, most)
	if uint64(cap(w.leaves)) < w.size {
		w.leaves = make([]merkle.Hash, w.size)
	}
	w.leaves = w.leaves[:w.size]
}

func (w *window) put(seq uint64, leaf merkle.Hash) {
	if at := seq - w.first; at < uint64(len(w.leaves)) {
		w.leaves[at] = leaf
	}
}

// load reads the leaf hashes of the segment's own tiles for [first, first+len). They are read in the tiles' order, each
// tile once for a window.
func (w *window) load(t *sstable.Table, first, n uint64) error {
	w.first, w.leaves = first, w.leaves[:n]
	w.order = w.order[:0] // ordinal, 32 bits, and place in the window
	for i := range n {
		ordinal, err := t.Ordinal(first + i)
		if err != nil {
			return err
		}
		w.order = append(w.order, ordinal<<32|i)
	}
	slices.Sort(w.order)
	for _, o := range w.order {
		leaf, err := t.Leaf(o >> 32)
		if err != nil {
			return err
		}
		w.leaves[o&(1<<32-1)] = leaf
	}
	return nil
}

// treeCheck builds the ledger tree again, from the leaves of all segments in seq order.
type treeCheck struct {
	c        *checker
	frontier tlog.Frontier
	tile     []merkle.Hash                // leaves since the last complete tile of 256
	tiles    []merkle.Hash                // hashes of the tiles completed in the current segment
	checks   []ledgerRoot                 // agreed roots to be met, by ascending size
	broken   string                       // why the tree cannot be built further; empty while it can
	leaf     func(merkle.Hash)            // is given every leaf; may be nil
	instead  func(*manifest.Segment) bool // adds the leaves, from the first missing one on, from elsewhere; may be nil
}

// ledgerRoot is a root that the members agreed on, as the log has it, or that a checkpoint has.
type ledgerRoot struct {
	size, index uint64
	root        merkle.Hash
	by          string // the checkpoint; empty when it is the log, with its entry index
}

func newTreeCheck(c *checker) *treeCheck {
	t := &treeCheck{c: c, checks: c.commands.checks}
	slices.SortFunc(t.checks, func(a, b ledgerRoot) int { return compareSeq(a.size, b.size) })
	return t
}

// skip says that a segment's leaves are not to be had of it.
func (t *treeCheck) skip(s *manifest.Segment) {
	if t.broken == "" && (t.instead == nil || !t.instead(s)) {
		t.broken = "segment " + idOf(s) + " could not be read"
	}
	t.c.records.incomplete = true
}

// segment takes a segment's leaves: those that were computed of its entries when it is whole, else those it stores.
func (t *treeCheck) segment(table *sstable.Table, s *manifest.Segment, name string, w *window, whole bool) {
	if t.broken != "" {
		return
	}
	t.tiles = t.tiles[:0]
	for first := s.FirstSeq; first <= s.LastSeq; first += w.size {
		n := min(w.size, s.LastSeq-first+1)
		if first > s.FirstSeq || !whole {
			if err := w.load(table, first, n); err != nil {
				t.skip(s) // the damage itself was told
				return
			}
		}
		for _, leaf := range w.leaves[:n] {
			t.add(leaf)
		}
	}
	nodes, err := table.LedgerNodes()
	if err != nil {
		return // Verify has told
	}
	if len(nodes) != len(t.tiles) {
		t.c.damage(KindLedgerTree, name, 0, "proofs of its entries", t.c.advice.segment,
			"it stores %d nodes of the ledger tree, its entries complete %d", len(nodes), len(t.tiles))
		return
	}
	for i := range nodes {
		if nodes[i] != t.tiles[i] {
			t.c.damage(KindLedgerTree, name, 0, "proofs of its entries", t.c.advice.segment,
				"node %d of the ledger tree that it stores is %s, computed %s", i, nodes[i], t.tiles[i])
			return
		}
	}
}

func (t *treeCheck) add(leaf merkle.Hash) {
	t.frontier.Append(leaf)
	if t.leaf != nil {
		t.leaf(leaf)
	}
	if t.tile = append(t.tile, leaf); len(t.tile) == merkle.TileWidth {
		t.tiles = append(t.tiles, merkle.RootOf(t.tile))
		t.tile = t.tile[:0]
	}
	for len(t.checks) > 0 && t.checks[0].size <= t.frontier.Size() {
		if at := t.checks[0]; at.size == t.frontier.Size() && t.frontier.Root() != at.root {
			t.differs(at)
		}
		t.checks = t.checks[1:]
	}
}

// differs says that the root so far is not the one that was agreed on.
func (t *treeCheck) differs(at ledgerRoot) {
	if at.by != "" {
		t.c.damage(KindCheckpoint, at.by, 0, "what a reader holds the ledger's root against", t.c.advice.all,
			"the first %d entries have the root %s, and it says %s", at.size, t.frontier.Root(), at.root)
		return
	}
	t.c.damage(KindLedgerTree, t.c.places.segments, 0, "", t.c.advice.all,
		"the first %d entries have the root %s, and the members agreed on %s (log entry %d)", at.size, t.frontier.Root(),
		at.root, at.index)
}

// finish compares the tree with what the manifest says of it.
func (t *treeCheck) finish() {
	c, state := t.c, t.c.state
	if t.broken != "" {
		c.notice(KindNotChecked, c.places.manifest, "", "the root of the whole ledger, because %s", t.broken)
		return
	}
	c.report.Root = t.frontier.Root().String()
	want, err := tlog.UnmarshalFrontier(state.Frontier)
	if state.TreeSize == 0 || err != nil || want.Size() != state.TreeSize {
		return // nothing to compare with, or it was told
	}
	if got := t.frontier.Root(); got != want.Root() {
		c.damage(KindLedgerTree, c.places.manifest, 0, "", c.advice.all,
			"the ledger of the %d entries in segments has the root %s, the manifest says %s", state.TreeSize, got, want.Root())
	} else if string(t.frontier.Marshal()) != string(state.Frontier) {
		c.damage(KindLedgerTree, c.places.manifest, 0, "", c.advice.all,
			"the manifest's frontier of the ledger tree has a right root and wrong nodes")
	}
}
