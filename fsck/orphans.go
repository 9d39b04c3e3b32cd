package fsck

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// checkOthers looks at what is there and is not named.
func (b *bucketChecker) checkOthers() error {
	if b.state == nil {
		return nil
	}
	named := make(map[string]bool, len(b.state.Segments))
	for i := range b.state.Segments {
		named[objectOf(&b.state.Segments[i])] = true
	}
	for _, name := range slices.Sorted(maps.Keys(b.seen.names)) {
		if p, err := tier.ParseSegmentName(name); err == nil && !named[name] {
			if err := b.checkOrphan(name, p); err != nil {
				return err
			}
		}
	}
	var page tier.UploadPage
	err := b.retry.Do(b.ctx, func(ctx context.Context) (err error) {
		page, err = b.store.Uploads(ctx, "", tier.Upload{}, 0)
		return err
	})
	if err == nil && len(page.Uploads) > 0 {
		b.notice(KindLeftOver, page.Uploads[0].Key, "nothing: a cluster sweeps what is abandoned",
			"%d uploads, or more, were begun and not ended, the first one of this object", len(page.Uploads))
	}
	return nil
}

// checkOrphan looks at a segment that the manifest does not name. It is this ledger's if its first and last entries
// are: then it is one that was merged, or is not published yet.
func (b *bucketChecker) checkOrphan(name string, p tier.ParsedSegment) error {
	src := newStream(b.ctx, b.store, name, b.seen.names[name], func(int64) {})
	defer src.close()
	t, err := sstable.Open(src, sstable.Options{ResidentBytes: -1})
	corrupt := (*vfs.CorruptError)(nil)
	switch {
	case b.ctx.Err() != nil:
		return b.ctx.Err()
	case errors.As(err, &corrupt):
		b.damage(KindForeign, name, corrupt.Offset, "nothing: no manifest names it", doForeign,
			"it is not the segment that it is "+
				"named after: %s", corrupt.Reason)
		return nil
	case errors.Is(err, tier.ErrNotFound): // swept since it was listed
		return nil
	case err != nil:
		b.unread(name, err)
		return nil
	}
	info := t.Info()
	if info.FirstSeq != p.FirstSeq || info.LastSeq != p.LastSeq || [8]byte(info.Root[:8]) != p.Root {
		b.damage(KindForeign, name, 0, "nothing: no manifest names it", doForeign,
			"it holds segment %s with root %s, which is not what "+
				"it is named after", info.ID, info.Root)
		return nil
	}
	if p.LastSeq >= b.state.TreeSize {
		b.notice(KindLeftOver, name, "nothing: the next publication may name it",
			"segment %s, which the newest manifest does not reach: uploaded, and not published", info.ID)
		return nil
	}
	for _, seq := range []uint64{p.FirstSeq, p.LastSeq} {
		if same, err := b.isOurs(t, seq); err == nil && !same {
			b.damage(KindForeign, name, 0, "nothing: no manifest names it", doForeign,
				"it is a segment of another ledger: its entry %d is not the one of this ledger", seq)
			return nil
		}
	}
	b.notice(KindLeftOver, name, "nothing: a cluster sweeps it in time",
		"segment %s, which the newest manifest does not name: merged since", info.ID)
	return nil
}

// isOurs compares the leaf of an entry with the archive's tile.
func (b *bucketChecker) isOurs(t *sstable.Table, seq uint64) (bool, error) {
	var leaf [1]merkle.Hash
	if err := t.Leaves(seq, leaf[:]); err != nil {
		return false, err
	}
	index := seq / merkle.TileWidth
	tile, err := b.read(tier.TileName(merkle.Tile{Index: index, Width: merkle.TileWidthAt(0, index, b.state.TreeSize)}),
		merkle.TileWidth*merkle.HashSize)
	at := seq % merkle.TileWidth * merkle.HashSize
	if err != nil || uint64(len(tile)) < at+merkle.HashSize {
		return false, errors.Join(err, errCold)
	}
	return merkle.Hash(tile[at:]) == leaf[0], nil
}
