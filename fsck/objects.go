package fsck

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// checkObjects reads the object of every segment that the manifest names, in seq order, and then what they come to
// together.
func (b *bucketChecker) checkObjects() error {
	b.tree = newTreeCheck(b.checker)
	if b.state == nil {
		return b.checkNames()
	}
	b.walk = &tileWalk{compare: b.streams.compare}
	b.tree.leaf = func(leaf merkle.Hash) { b.walk.add(0, leaf) }
	b.tree.instead = b.addTiles
	for _, s := range b.segments() {
		if err := b.checkObject(s); err != nil {
			return err
		}
	}
	b.tree.finish()
	b.checkRecords()
	return nil
}

// checkNames reads the segments that are there when no manifest says which there should be.
func (b *bucketChecker) checkNames() error {
	b.tree.broken = "there is no manifest"
	for _, name := range slices.Sorted(maps.Keys(b.seen.names)) {
		p, err := tier.ParseSegmentName(name)
		if err != nil {
			continue // a pointer
		}
		s := &manifest.Segment{FirstSeq: p.FirstSeq, LastSeq: p.LastSeq, Entries: p.LastSeq - p.FirstSeq + 1}
		b.total += b.seen.names[name]
		if err := b.checkAs(s, name, b.seen.names[name], merkle.Hash{}); err != nil {
			return err
		}
	}
	return nil
}

// checkObject checks the object of a segment that the manifest names.
func (b *bucketChecker) checkObject(s *manifest.Segment) error {
	name := objectOf(s)
	size, err := b.sizeOf(name)
	switch {
	case b.ctx.Err() != nil:
		return b.ctx.Err()
	case errors.Is(err, tier.ErrNotFound):
		b.damage(KindSegmentMissing, name, 0, lostOf(s), doObject, "the object is missing")
		b.tree.skip(s)
		return nil
	case err != nil:
		b.unread(name, err)
		b.tree.skip(s)
		return nil
	case name != tier.SegmentName(s.FirstSeq, s.LastSeq, s.Root):
		b.damage(KindManifest, b.places.manifest, 0, "", doManifest,
			"it names %s as the object of segment %s with root %s", name,
			idOf(s), s.Root)
	}
	return b.checkAs(s, name, size, s.Object.SHA256)
}

// sizeOf is the size of an object. A listing is no proof that an object is not there.
func (b *bucketChecker) sizeOf(name string) (int64, error) {
	size, ok := b.seen.names[name]
	if ok {
		return size, nil
	}
	var o tier.Object
	err := b.retry.Do(b.ctx, func(ctx context.Context) (err error) {
		o, err = b.store.Head(ctx, name)
		return err
	})
	return o.Size, err
}

// checkAs reads an object as a segment: its SHA-256, unless none is known, every checksum, every entry, its root.
func (b *bucketChecker) checkAs(s *manifest.Segment, name string, size int64, sum merkle.Hash) error {
	src := newStream(b.ctx, b.store, name, size, b.advance)
	defer src.close()
	b.report.Checked.Segments++
	b.part = func(offset int64) string { return sstable.Part(src, s.Entries, uint64(offset)) }
	defer func() { b.part = nil }()
	t, err := sstable.Open(src, sstable.Options{Cache: b.cache, ResidentBytes: -1})
	if want := int64(s.Object.Bytes); s.Object.Exists() && size != want && (err != nil || differs(t.Info(), s) == "") {
		b.damage(KindSegmentSize, name, min(size, want), lostOf(s), doObject,
			"the object has %d bytes, the manifest says %d", size, want)
		b.tree.skip(s)
		return nil
	}
	if err != nil {
		b.damagedObject(name, lostOf(s), err)
		b.tree.skip(s)
		return b.ctx.Err()
	}
	info := t.Info()
	p, _ := tier.ParseSegmentName(name)
	if [8]byte(info.Root[:8]) != p.Root || s.Object.Exists() && differs(info, s) != "" {
		b.damage(KindSegmentWrong, name, 0, lostOf(s), doObject,
			"it holds segment %s with root %s, which is not what it is named after",
			info.ID, info.Root)
		b.tree.skip(s)
		return nil
	}
	whole, err := b.verify(t, s, name)
	if err != nil || !whole || sum == (merkle.Hash{}) {
		return err // what is damaged is known, and where
	}
	return b.compareSum(src, sum)
}

// compareSum holds the SHA-256 of an object in which no other damage was found against the one that is recorded.
func (b *bucketChecker) compareSum(src *stream, want merkle.Hash) error {
	got, err := src.total()
	if err == nil && got != want { // something may have been damaged on its way
		got, err = src.again()
	}
	switch {
	case b.ctx.Err() != nil:
		return b.ctx.Err()
	case err != nil:
		b.unread(src.name, err)
	case got != want:
		b.damage(KindSegmentHash, src.name, 0, "nothing that reads need", doObject,
			"its SHA-256 is %s, the manifest says %s; every entry in it is right", got, want)
	}
	return nil
}

// damagedObject adds an error of opening an object as a segment.
func (b *bucketChecker) damagedObject(name, lost string, err error) {
	if errors.As(err, new(*vfs.CorruptError)) {
		b.failed(KindSegmentDamaged, name, lost, doObject, err)
		return
	}
	b.unread(name, err)
}
