package tlog

import (
	"errors"
	"fmt"
	"sync"

	"github.com/scribe-ledger/scribe/merkle"
)

// ErrTreeMismatch is returned by NewTree for stored nodes that do not give the root they were stored for.
var ErrTreeMismatch = errors.New("tlog: ledger tree does not match its frontier")

// maxTileLevel is that of the highest tiles of a tree of fewer than 2^64 leaves.
const maxTileLevel = 7

// A LeafReader gives the leaf hashes of entries. A Tree asks it for seqs below the size of the proof it was called
// for, within one tile of 256 seqs a call, at most twice a proof, and never while it holds a lock.
type LeafReader interface {
	// ReadLeaves fills dst with the leaves of the entries first, first+1, ….
	ReadLeaves(first uint64, dst []merkle.Hash) error
}

// Tree is the ledger tree. It keeps the complete nodes of levels >= 8, 0.13 bytes an entry, and the leaves of the last
// incomplete tile; a LeafReader gives it the others. Readers work on a snapshot and do not hold up the writer.
type Tree struct {
	next treeState // owned by the writer

	mu   sync.Mutex
	head treeState // what readers see: next, as of the last append; guarded by mu, held only to copy
}

// treeState is a snapshot of a Tree when copied: what its slices hold is never changed, only added to.
type treeState struct {
	frontier Frontier
	upper    merkle.Upper
	tail     []merkle.Hash // leaves of the last tile, fewer than 256; a new slice for each tile
}

// NewTree opens the tree that sealed is the frontier of, on its stored nodes: the hashes of all complete tiles in order
// (what Level8 gave, segment after segment), and the leaves after the last complete tile. It returns ErrTreeMismatch
// unless these are as many as the size asks for and give the frontier's root. A new ledger has NewTree(&Frontier{},
// nil, nil).
func NewTree(sealed *Frontier, level8, tail []merkle.Hash) (*Tree, error) {
	size := sealed.Size()
	if n := size / merkle.TileWidth; uint64(len(level8)) != n {
		return nil, fmt.Errorf("%w: %d tiles for %d leaves, want %d", ErrTreeMismatch, len(level8), size, n)
	}
	if n := size % merkle.TileWidth; uint64(len(tail)) != n {
		return nil, fmt.Errorf("%w: %d leaves after the last tile, want %d of %d", ErrTreeMismatch, len(tail), n, size)
	}
	t := &Tree{next: treeState{frontier: *sealed, upper: *merkle.NewUpper(level8), tail: newTail(tail)}}
	root, err := merkle.RootAt(size, t.next.nodes(size, nil))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTreeMismatch, err)
	}
	if want := sealed.Root(); root != want {
		return nil, fmt.Errorf("%w: nodes of %d leaves give root %s, want %s", ErrTreeMismatch, size, root, want)
	}
	t.head = t.next
	return t, nil
}

func newTail(leaves []merkle.Hash) []merkle.Hash {
	return append(make([]merkle.Hash, 0, merkle.TileWidth), leaves...)
}

// Append adds leaves, all of them visible to readers at once. Only the tree's one writer may call it.
func (t *Tree) Append(leaves ...merkle.Hash) {
	s := &t.next
	for _, leaf := range leaves {
		tile := s.frontier.appendLeaf(leaf)
		s.tail = append(s.tail, leaf)
		if len(s.tail) == merkle.TileWidth {
			s.upper.Append(tile)
			s.tail = newTail(nil)
		}
	}
	t.mu.Lock()
	t.head = t.next
	t.mu.Unlock()
}

// snapshot is the tree as of now.
func (t *Tree) snapshot() treeState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head
}

// Size is the number of leaves.
func (t *Tree) Size() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head.frontier.Size()
}

// Frontier is a copy of the tree's frontier as of now: size and root that belong together.
func (t *Tree) Frontier() *Frontier {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.head.frontier
	return &f
}

// Root is the root of the whole tree, from its frontier. When the size matters too, take both from Frontier.
func (t *Tree) Root() merkle.Hash { return t.Frontier().Root() }

// RootAt is the root of the tree's first size leaves; merkle.ErrRange when it has fewer, or an error of leaves.
func (t *Tree) RootAt(size uint64, leaves LeafReader) (merkle.Hash, error) {
	s := t.snapshot()
	if size == s.frontier.Size() {
		return s.frontier.Root(), nil
	}
	if err := s.holds(size); err != nil {
		return merkle.Hash{}, err
	}
	return merkle.RootAt(size, s.nodes(size, leaves))
}

// Inclusion proves the leaf of an entry in the tree of the first size leaves. It returns merkle.ErrRange unless index <
// size <= Size, or an error of leaves.
func (t *Tree) Inclusion(index, size uint64, leaves LeafReader) ([]merkle.Hash, error) {
	s := t.snapshot()
	if err := s.holds(size); err != nil {
		return nil, err
	}
	return merkle.InclusionProof(index, size, s.nodes(size, leaves))
}

// Consistency proves that the tree of the first from leaves is a prefix of that of the first to leaves. It returns
// merkle.ErrRange unless from <= to <= Size, or an error of leaves.
func (t *Tree) Consistency(from, to uint64, leaves LeafReader) ([]merkle.Hash, error) {
	s := t.snapshot()
	if err := s.holds(to); err != nil {
		return nil, err
	}
	return merkle.ConsistencyProof(from, to, s.nodes(to, leaves))
}

// Level8 is the hashes of the tiles that the entries with seqs in [first, end) complete, for their segment to store:
// segments that follow each other give hashes that follow each other, each once. The slice is shared and must not be
// changed. Seqs that the tree does not have yet complete nothing.
func (t *Tree) Level8(first, end uint64) []merkle.Hash {
	s := t.snapshot()
	to := min(end/merkle.TileWidth, s.upper.Tiles())
	from := min(first/merkle.TileWidth, to)
	return s.upper.Level8()[from:to:to]
}

// TileHashes returns the hashes of a tile: of leaves, or of complete subtrees. A complete tile of leaves is held against
// the tree, since what is published of it cannot be taken back: ErrTreeMismatch. It returns merkle.ErrRange for a tile that
// the tree does not have, or an error of leaves.
func (t *Tree) TileHashes(tile merkle.Tile, leaves LeafReader) ([]merkle.Hash, error) {
	s := t.snapshot()
	if tile.Level < 0 || tile.Level > maxTileLevel || tile.Width < 1 || tile.Width > merkle.TileWidth ||
		merkle.TileWidthAt(tile.Level, tile.Index, s.frontier.Size()) < tile.Width {
		return nil, fmt.Errorf("%w: tile %s of %d leaves", merkle.ErrRange, tile.Path(), s.frontier.Size())
	}
	first := tile.Index * merkle.TileWidth
	dst := make([]merkle.Hash, tile.Width)
	for i := range dst {
		if tile.Level == 0 {
			break
		}
		var err error
		if dst[i], err = s.upper.Node(uint(tile.Level)*merkle.TileHeight, first+uint64(i)); err != nil {
			return nil, err
		}
	}
	if tile.Level > 0 {
		return dst, nil
	}
	if err := leaves.ReadLeaves(first, dst); err != nil {
		return nil, fmt.Errorf("tlog: leaves from %d: %w", first, err)
	}
	if tile.Width == merkle.TileWidth {
		want, err := s.upper.Node(merkle.TileHeight, tile.Index)
		if err != nil {
			return nil, err
		}
		if got := merkle.RootOf(dst); got != want {
			return nil, fmt.Errorf("%w: the leaves from %d give %s, want %s", ErrTreeMismatch, first, got, want)
		}
	}
	return dst, nil
}

// holds returns merkle.ErrRange when the snapshot has fewer than size leaves.
func (s *treeState) holds(size uint64) error {
	if have := s.frontier.Size(); size > have {
		return fmt.Errorf("%w: size %d of %d leaves", merkle.ErrRange, size, have)
	}
	return nil
}

// nodes gives the nodes of the tree of the first size leaves, for one proof. Leaves at or beyond size are not asked
// for, so a reader that was pinned when the ledger had size entries will do.
func (s *treeState) nodes(size uint64, leaves LeafReader) merkle.NodeFunc {
	return s.upper.Nodes(func(tile uint64) ([]merkle.Hash, error) {
		if tile == s.upper.Tiles() {
			return s.tail, nil
		}
		first := tile * merkle.TileWidth
		dst := make([]merkle.Hash, min(merkle.TileWidth, size-first))
		if err := leaves.ReadLeaves(first, dst); err != nil {
			return nil, fmt.Errorf("tlog: leaves from %d: %w", first, err)
		}
		return dst, nil
	})
}
