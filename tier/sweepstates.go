package tier

import (
	"context"
	"errors"

	"github.com/scribe-ledger/scribe/merkle"
)

// maxLockedStates is how many refusals of the store's retention end the sweep of published states: those behind them are
// younger, and locked as well.
const maxLockedStates = 16

// manifests sweeps one page of the states that were published, with the partial tiles that later ones do not need; in order of
// their sizes, which their names are. Checkpoints stay.
//
// A state goes once one of more entries has been there for the age of what goes: whoever reads it has that long to read
// latest again. What is published only grows, so neither latest nor anybody who is about to move it names one of fewer
// entries than are published; one of as many stays.
func (s *sweep) manifests(ctx context.Context) error {
	page, err := s.store.List(ctx, ManifestPrefix, s.at.after, 0)
	if err != nil {
		return err
	}
	locked, next := s.result.Locked, s.oldEnough(page.Objects)
	for _, o := range page.Objects {
		s.result.Listed++
		if p, err := ParseManifestName(o.Key); err == nil && p.TreeSize < next && o.Modified.Before(s.before) {
			if err := s.partialTiles(ctx, p.TreeSize, next); err != nil {
				return err
			}
			if err := s.remove(ctx, o); err != nil {
				return err
			}
		}
		if s.at.after = o.Key; s.result.Locked-locked == maxLockedStates {
			page.Next = ""
			break
		}
	}
	if s.at.after = page.Next; page.Next == "" {
		s.at.stage++
	}
	return nil
}

// oldEnough is the size of the last state on a page that is published and as old as what goes; 0 when there is none.
func (s *sweep) oldEnough(page []Object) (size uint64) {
	for _, o := range page {
		p, err := ParseManifestName(o.Key)
		if err == nil && p.TreeSize <= s.opts.Published && o.Modified.Before(s.before) {
			size = max(size, p.TreeSize)
		}
	}
	return size
}

// partialTiles deletes the partial tiles of a tree in whose place a larger tree has fuller ones. That they are deleted already
// is no error, and not to be told.
func (s *sweep) partialTiles(ctx context.Context, size, next uint64) error {
	for level, n := 0, size; n > 0; level, n = level+1, n>>merkle.TileHeight {
		t := merkle.Tile{Level: level, Index: n / merkle.TileWidth, Width: int(n % merkle.TileWidth)}
		if t.Width == 0 || merkle.TileWidthAt(level, t.Index, next) == t.Width {
			continue
		}
		if err := s.store.Delete(ctx, TileName(t)); err != nil && !errors.Is(err, ErrLocked) {
			return err
		}
	}
	return nil
}
