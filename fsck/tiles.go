package fsck

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

// tileChecks bounds the tiles that are being read at one time.
const tileChecks = 16

// tileWalk makes the tiles of the ledger tree out of its leaves, in order, and has each compared with the archive's.
type tileWalk struct {
	compare func(merkle.Tile, []byte)
	levels  []tileLevel
}

type tileLevel struct {
	index uint64 // of the tile that is being filled
	nodes []byte // in it
}

// add takes the next node of a level, the next leaf for level 0.
func (w *tileWalk) add(level int, node merkle.Hash) {
	if level == len(w.levels) {
		w.levels = append(w.levels, tileLevel{})
	}
	l := &w.levels[level]
	l.nodes = append(l.nodes, node[:]...)
	if len(l.nodes) < merkle.TileWidth*merkle.HashSize {
		return
	}
	w.compare(merkle.Tile{Level: level, Index: l.index, Width: merkle.TileWidth}, l.nodes)
	root := merkle.RootOf(hashesOf(l.nodes))
	l.index, l.nodes = l.index+1, nil // compare has it
	w.add(level+1, root)
}

// finish has the tiles at the right edge compared.
func (w *tileWalk) finish() {
	for level := range w.levels {
		if l := &w.levels[level]; len(l.nodes) > 0 {
			w.compare(merkle.Tile{Level: level, Index: l.index, Width: len(l.nodes) / merkle.HashSize}, l.nodes)
		}
	}
}

func hashesOf(b []byte) []merkle.Hash {
	out := make([]merkle.Hash, len(b)/merkle.HashSize)
	for i := range out {
		out[i] = merkle.Hash(b[i*merkle.HashSize:])
	}
	return out
}

// tileReader reads tiles and compares them, many at a time. wait joins its goroutines.
type tileReader struct {
	b     *bucketChecker
	slots chan struct{}
	group sync.WaitGroup
}

func newTileReader(b *bucketChecker) *tileReader {
	return &tileReader{b: b, slots: make(chan struct{}, tileChecks)}
}

func (r *tileReader) wait() { r.group.Wait() }

// compare holds an object against what it must be. It waits only for a slot.
func (r *tileReader) compare(t merkle.Tile, want []byte) {
	if r.b.ctx.Err() != nil {
		return
	}
	r.slots <- struct{}{}
	r.group.Go(func() {
		defer func() { <-r.slots }()
		r.check(t, want)
	})
}

const lostTile = "proofs that are made out of tiles; those out of segments are not affected"

func (r *tileReader) check(t merkle.Tile, want []byte) {
	b, name := r.b, tier.TileName(t)
	got, err := b.read(name, int64(merkle.TileWidth*merkle.HashSize))
	defer b.advance(int64(len(want)))
	switch {
	case errors.Is(err, tier.ErrNotFound):
		b.damage(KindTile, name, 0, lostTile, doTile, "the tile is missing")
		return
	case err != nil:
		b.unread(name, err)
		return
	}
	b.count(func(c *Checked) { c.Tiles++ })
	if at := differAt(got, want); at >= 0 {
		b.damage(KindTile, name, int64(at), lostTile, doTile,
			"it is not the tile of the entries: %d bytes, %d of them right, of %d", len(got), at, len(want))
	}
}

// differAt is where two slices differ first, -1 when they are equal.
func differAt(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// checkPartial holds a tile that an earlier publication needed against the tile that the tree has in its place now,
// which begins with it.
func (r *tileReader) checkPartial(t merkle.Tile, size uint64) {
	whole := t
	whole.Width = merkle.TileWidthAt(t.Level, t.Index, size)
	if whole.Width <= t.Width {
		return // of the tree as it is, or of a later one
	}
	r.slots <- struct{}{}
	r.group.Go(func() {
		defer func() { <-r.slots }()
		name := tier.TileName(t)
		got, err := r.b.read(name, int64(merkle.TileWidth*merkle.HashSize))
		if err != nil {
			r.b.unread(name, err)
			return
		}
		r.b.count(func(c *Checked) { c.Tiles++ })
		want, err := r.b.read(tier.TileName(whole), int64(merkle.TileWidth*merkle.HashSize))
		if err != nil {
			return // it was told
		}
		if !bytes.HasPrefix(want, got) || len(got) != t.Width*merkle.HashSize {
			r.b.damage(KindTile, name, int64(max(0, differAt(got, want[:min(len(want), len(got))]))), "", doTile,
				"it is not the beginning of %s", tier.TileName(whole))
		}
	})
}

// checkTiles has the rest of the tiles compared, and waits for all.
func (b *bucketChecker) checkTiles() error {
	defer b.streams.wait()
	if b.state == nil {
		return nil
	}
	if b.tree.broken != "" {
		b.notice(KindNotChecked, tier.TilePrefix, "", "tiles from there on, because %s", b.tree.broken)
		return nil
	}
	b.walk.finish()
	b.streams.wait()
	size := b.state.TreeSize
	for _, t := range b.seen.partial {
		b.streams.checkPartial(t, size)
	}
	for level, n := range b.seen.tiles {
		if size >>= merkle.TileHeight; n > 0 && b.seen.newest[level] >= size {
			b.notice(KindLeftOver, tier.TilePrefix, "nothing: the next publication uses them, if they are the same",
				"there are tiles of level %d behind those of the newest manifest", level)
		}
	}
	return nil
}

// addTiles adds the leaves of a segment that cannot be read from the archive's tiles, so that all behind it is checked.
// Whether they are right shows in the root.
func (b *bucketChecker) addTiles(s *manifest.Segment) bool {
	for seq := b.tree.frontier.Size(); seq <= s.LastSeq; {
		leaves, ok := b.leafTile(seq / merkle.TileWidth)
		if !ok {
			return false
		}
		for _, leaf := range leaves[seq%merkle.TileWidth:] {
			if seq > s.LastSeq {
				break
			}
			b.tree.add(leaf)
			seq++
		}
	}
	b.notice(KindNotChecked, objectOf(s), "",
		"the root of the whole ledger is computed with leaves out of tiles where those of segment %s could not be read", idOf(s))
	return true
}

// leafTile reads a tile of leaves. One that is complete is held against the tile above it, if that is there.
func (b *bucketChecker) leafTile(index uint64) ([]merkle.Hash, bool) {
	read := func(level int, index uint64) ([]merkle.Hash, string, bool) {
		t := merkle.Tile{Level: level, Index: index, Width: merkle.TileWidthAt(level, index, b.state.TreeSize)}
		data, err := b.read(tier.TileName(t), merkle.TileWidth*merkle.HashSize)
		return hashesOf(data), tier.TileName(t), err == nil && len(data) == t.Width*merkle.HashSize
	}
	leaves, name, ok := read(0, index)
	if !ok || len(leaves) < merkle.TileWidth {
		return leaves, ok
	}
	if above, _, ok := read(1, index/merkle.TileWidth); ok && merkle.RootOf(leaves) != above[index%merkle.TileWidth] {
		b.damage(KindTile, name, 0, lostTile, doTile, "it does not hash to its node in the tile above it")
		return nil, false
	}
	return leaves, true
}

// read returns an object as it is, damaged or not. Of one that has more than limit bytes it is the first limit+1.
func (b *bucketChecker) read(name string, limit int64) ([]byte, error) {
	var data []byte
	err := b.retry.Do(b.ctx, func(ctx context.Context) error {
		r, err := b.store.Get(ctx, name, 0, tier.Rest)
		if err != nil {
			return err
		}
		data = make([]byte, min(r.Length, limit+1))
		_, err = io.ReadFull(r, data)
		return errors.Join(err, r.Close())
	})
	return data, err
}
