package archive

import (
	"context"
	"errors"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

// newTiles are the tiles of a tree of to leaves that one of from leaves does not have: complete ones, and at the right edge
// of each level a partial one.
func newTiles(from, to uint64) iter.Seq[merkle.Tile] {
	return func(yield func(merkle.Tile) bool) {
		for level := 0; level < 8; level++ {
			had, has := from>>(merkle.TileHeight*level), to>>(merkle.TileHeight*level)
			if had == has { // and so on the levels above
				return
			}
			for i := had / merkle.TileWidth; i*merkle.TileWidth < has; i++ {
				if !yield(merkle.Tile{Level: level, Index: i, Width: merkle.TileWidthAt(level, i, to)}) {
					return
				}
			}
		}
	}
}

// putTiles puts what the tree has more than one of from leaves.
func (w *publisher) putTiles(ctx context.Context, from uint64) error {
	if w.p.Parallel == 1 {
		for t := range newTiles(from, w.size()) {
			if err := w.putTile(ctx, t); err != nil {
				return err
			}
		}
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(w.p.Parallel)
	for t := range newTiles(from, w.size()) {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return w.putTile(ctx, t) })
	}
	return group.Wait()
}

func (w *publisher) putTile(ctx context.Context, t merkle.Tile) error {
	hashes, err := w.p.Tree.TileHashes(t)
	if err != nil {
		return failed(w.store, "read tile "+t.Path(), err)
	}
	b := make([]byte, 0, len(hashes)*merkle.HashSize)
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	name := tier.TileName(t)
	err = w.putOnce(ctx, name, b)
	if errors.Is(err, tier.ErrChanged) { // one that published more than latest says, and has not got there
		return &ConflictError{Store: w.store.Name(), Object: name, Size: w.size(), Own: w.root}
	}
	return err
}
