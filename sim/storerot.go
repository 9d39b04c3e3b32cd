package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"path"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// rot flips a bit of a recorded object. There must be something to repair it from, so: nothing else is damaged, no machine
// is about to come or go, and one that gives up no files has a file with the object's bytes. Until it is repaired
// nothing is done to these (ailing).
func (b *bucket) rot() {
	if !b.w.admin.idle() || b.ailing() {
		return
	}
	for _, r := range b.w.nodes {
		if r.rotten || r.wiped {
			return
		}
	}
	var objects []manifest.Recorded
	for _, r := range b.recorded() {
		if r.Object.Exists() && b.held(r) {
			objects = append(objects, r)
		}
	}
	if len(objects) == 0 {
		return
	}
	o := objects[b.rand.IntN(len(objects))].Object
	if b.damage(o.Name) {
		b.rotten[o.Name] = true
		b.w.fault(StoreRot)
		b.w.tell("a bit of object %s flips", o.Name)
	}
}

// held says whether a member that gives up no files has the bytes of an object.
func (b *bucket) held(o manifest.Recorded) bool {
	for _, r := range b.w.nodes {
		if r.node == nil || r.id == 0 || !b.hoards(r) || !b.w.member(r) {
			continue
		}
		data, err := vfs.ReadFile(r.disk.mem, path.Join(segmentDir, tlog.SegmentID(o.FirstSeq, o.LastSeq)+".seg"), 1<<30)
		if err == nil && sha256.Sum256(data) == o.Object.SHA256 {
			return true
		}
	}
	return false
}

// damage flips a bit of an object.
func (b *bucket) damage(key string) bool {
	return b.mem.Tamper(key, func(data []byte) []byte {
		data[b.rand.IntN(len(data))] ^= 1 << b.rand.IntN(8)
		return data
	})
}

// spoil damages an object that has just been put, now and then. Whoever records it has not read it back.
func (b *bucket) spoil(key string) {
	_, err := tier.ParseSegmentName(key)
	if err != nil || !b.w.faults || b.rand.Float64() >= b.w.plan.Rate[StoreSpoils] || b.ailing() {
		return
	}
	if _, needed := b.watch.needed(key); needed {
		return // it is being repaired
	}
	if b.damage(key) {
		b.spoiled[key] = true
		b.w.fault(StoreSpoils)
		b.w.tell("object %s is not what was put", key)
	}
}

// ailing says whether an object is damaged that is needed. Without a store none is.
func (b *bucket) ailing() bool {
	if b == nil {
		return false
	}
	ailing := false
	for key := range b.rotten { // in whatever order: each by itself
		if b.sound(key) {
			delete(b.rotten, key)
		} else if _, needed := b.watch.needed(key); needed {
			ailing = true
		}
	}
	return ailing
}

// sound says whether an object has the bytes that it was put with.
func (b *bucket) sound(key string) (ok bool) {
	b.raw(func(s tier.Store) {
		_, _, err := tier.ReadAll(context.Background(), s, key, 1<<30)
		ok = err == nil
	})
	return ok
}

// tidy does what the people would do whom a node has told that a damaged object stands in the place of one that it wants to
// put: it takes the object away. None of these may have been recorded.
func (b *bucket) tidy() {
	for key := range b.spoiled { // in whatever order: each by itself
		b.raw(func(s tier.Store) {
			_, _, err := tier.ReadAll(context.Background(), s, key, 1<<30)
			if !errors.Is(err, tier.ErrMismatch) {
				return
			}
			if _, needed := b.watch.needed(key); needed {
				b.w.violated("object %s was damaged when it was put, and is recorded", key)
			}
			if err := s.Delete(context.Background(), key); err != nil && !errors.Is(err, tier.ErrLocked) {
				b.w.violated("object %s cannot be deleted: %w", key, err)
			}
		})
	}
}
