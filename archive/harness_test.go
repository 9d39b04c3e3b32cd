package archive_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
)

var identity = archive.Identity{Format: 1, LedgerID: "ledger-1", Origin: "scribe/ledger-1"}

// history is a ledger without values: its leaves and its tree.
type history struct {
	leaves []merkle.Hash
	tree   *tlog.Tree
}

func newHistory() *history {
	tree, err := tlog.NewTree(&tlog.Frontier{}, nil, nil)
	if err != nil {
		panic(err)
	}
	return &history{tree: tree}
}

// grow appends entries. Those of another branch differ.
func (h *history) grow(to uint64, branch byte) *history {
	for n := uint64(len(h.leaves)); n < to; n++ {
		leaf := merkle.Hash(sha256.Sum256(binary.BigEndian.AppendUint64([]byte{branch}, n)))
		h.leaves = append(h.leaves, leaf)
		h.tree.Append(leaf)
	}
	return h
}

// fork returns another history with the same first entries.
func (h *history) fork(size uint64) *history {
	f := newHistory()
	f.leaves = append(f.leaves, h.leaves[:size]...)
	f.tree.Append(f.leaves...)
	return f
}

func (h *history) ReadLeaves(first uint64, dst []merkle.Hash) error {
	copy(dst, h.leaves[first:])
	return nil
}

func (h *history) RootAt(size uint64) (merkle.Hash, error) { return h.tree.RootAt(size, h) }

func (h *history) TileHashes(t merkle.Tile) ([]merkle.Hash, error) { return h.tree.TileHashes(t, h) }

// state returns the state of the first size entries in segments that end before the given seqs.
func (h *history) state(size uint64, ends ...uint64) *manifest.State {
	var f tlog.Frontier
	for _, leaf := range h.leaves[:size] {
		f.Append(leaf)
	}
	s := &manifest.State{Version: size, ClusterID: identity.LedgerID, TreeSize: size,
		SealPoint: manifest.SealPoint{AppliedIndex: size, AppliedTerm: 1, Frontier: f.Marshal()}}
	first := uint64(0)
	for _, end := range append(ends, size) {
		if end <= first {
			continue
		}
		root := merkle.Hash(sha256.Sum256(binary.BigEndian.AppendUint64(h.leaves[first][:], end)))
		s.Segments = append(s.Segments, manifest.Segment{FirstSeq: first, LastSeq: end - 1, Entries: end - first, Root: root,
			Bytes: 100, Tier: manifest.Cold,
			Object: manifest.Object{Name: tier.SegmentName(first, end-1, root), Bytes: 100, SHA256: root, MetaOffset: 50}})
		first = end
	}
	return s
}

// publication is what publishes a state.
func (h *history) publication(s *manifest.State) archive.Publication {
	root, err := h.RootAt(s.TreeSize)
	if err != nil {
		panic(err)
	}
	c := tlog.Checkpoint{Origin: identity.Origin, Size: s.TreeSize, Root: root}
	text, err := c.Text()
	if err != nil {
		panic(err)
	}
	return archive.Publication{Identity: identity, State: s, Checkpoint: []byte(text), Tree: h, Parallel: 1, Retry: quick}
}

func (h *history) publish(s tier.Store, size uint64, ends ...uint64) error {
	return archive.Publish(context.Background(), s, h.publication(h.state(size, ends...)))
}

// quick tries three times, and does not wait.
var quick = tier.Retry{Sleep: func(context.Context, time.Duration) error { return nil }}

func claimed(t testing.TB, opts tier.MemOptions) *tier.Mem {
	t.Helper()
	s := tier.NewMem(opts)
	if err := archive.Claim(t.Context(), s, identity); err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustRead reads the archive and returns the size of what is published; 0 for nothing.
func mustRead(t testing.TB, s tier.Store) uint64 {
	t.Helper()
	p, err := archive.Read(context.Background(), s)
	if errors.Is(err, archive.ErrNothingPublished) {
		return 0
	}
	must(t, err)
	checkTiles(t, s, p.Checkpoint)
	return p.State.TreeSize
}

// checkTiles computes the root of a checkpoint from the published tiles alone, and holds every tile against those above it.
func checkTiles(t testing.TB, s tier.Store, c tlog.Checkpoint) {
	t.Helper()
	read := func(tile merkle.Tile) []merkle.Hash {
		b, _, err := tier.ReadAll(context.Background(), s, tier.TileName(tile), 1<<20)
		if err != nil || len(b) != tile.Width*merkle.HashSize {
			t.Fatalf("tile %s of %d entries: %d bytes, %v", tile.Path(), c.Size, len(b), err)
		}
		out := make([]merkle.Hash, tile.Width)
		for i := range out {
			copy(out[i][:], b[i*merkle.HashSize:])
		}
		return out
	}
	var f tlog.Frontier
	var below []merkle.Hash // roots of the complete tiles of the level below
	for level := 0; c.Size>>(8*level) > 0; level++ {
		var complete []merkle.Hash
		for i := uint64(0); ; i++ {
			w := merkle.TileWidthAt(level, i, c.Size)
			if w == 0 {
				break
			}
			hashes := read(merkle.Tile{Level: level, Index: i, Width: w})
			for k, h := range hashes {
				if level == 0 {
					f.Append(h)
				} else if h != below[int(i)*merkle.TileWidth+k] {
					t.Fatalf("hash %d of tile %d of level %d is not that of the tile below", k, i, level)
				}
			}
			if w == merkle.TileWidth {
				complete = append(complete, merkle.RootOf(hashes))
			}
		}
		below = complete
	}
	if f.Size() != c.Size || f.Root() != c.Root {
		t.Fatalf("the tiles give root %s of %d, the checkpoint says %s of %d", f.Root(), f.Size(), c.Root, c.Size)
	}
}

// contents are the objects of a store.
func contents(t testing.TB, s tier.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	for after := ""; ; {
		page, err := s.List(context.Background(), "", after, 0)
		must(t, err)
		for _, o := range page.Objects {
			out[o.Key] = o.ETag
		}
		if after = page.Next; after == "" {
			return out
		}
	}
}
