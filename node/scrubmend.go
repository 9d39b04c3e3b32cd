package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// A damaged object is made anew from a file of its segment that has the very bytes it was made of: its SHA-256 is part of
// the replicated state. It is deleted, since nothing overwrites an object, and put again under its name, and read back.
// In between it is missing, which readers take for the damage that it is; a member that ends there leaves that to the next
// one who reads the object.
//
// The way to the store may be what damages bytes, and then a good object would go for one that cannot come. So nothing is
// deleted before the file was hashed, the store has taken the same bytes under another name, and the object was read once
// more and has the same wrong bytes as before: what happens on the way is another thing each time.

var (
	errAsked  = errors.New("its file is fetched from a member, and the object made anew from that")
	errFenced = errors.New("the archive is not this cluster's")
)

// mend repairs an object that was read twice and found damaged, and says in f what came of it.
func (s *scrubber) mend(ctx context.Context, r manifest.Recorded, f *ScrubFinding, damage *vfs.CorruptError,
	pace func(context.Context, int) error) {
	id := objectID(r)
	if !s.mending.TryLock() {
		s.mending.Lock()
		if damage, err := s.readObject(ctx, r.Object, pace); damage == nil && err == nil { // somebody has repaired it
			s.forget(id)
			s.mended(whatObject, f, fromLocal)
			s.mending.Unlock()
			return
		}
	}
	defer s.mending.Unlock()
	s.note(r, func(b *badObject) { b.file, b.damage, b.next = f.File, damage, time.Time{} })
	err := s.remake(ctx, r, damage, pace)
	if err == nil {
		s.forget(id)
		s.mended(whatObject, f, fromLocal)
		return
	}
	s.add(f, "not repaired: "+err.Error())
	switch _, again := tier.Temporary(err); {
	case errors.Is(err, errAsked):
		s.note(r, func(b *badObject) { b.asked = true })
		s.snapshots.doubtSegment(id)
		s.log.Warn("the object of an evicted segment is damaged", "segment", id, "repair", err)
	case again || ctx.Err() != nil:
		s.note(r, func(b *badObject) { b.next = s.n.opts.Now().Add(scrubPause) })
		s.log.Warn("a damaged object cannot be repaired now; it is tried again", "segment", id, "error", err,
			"retry_in", scrubPause)
	default:
		s.note(r, func(b *badObject) {
			if b.deleted {
				b.next = s.n.opts.Now().Add(scrubPause)
			}
		})
		s.log.Error("a damaged object cannot be repaired", "segment", id, "object", f.File, "error", err)
	}
}

// remake makes an object that was found damaged anew from the file that is here, unless it is good by now.
func (s *scrubber) remake(ctx context.Context, r manifest.Recorded, known *vfs.CorruptError,
	pace func(context.Context, int) error) error {
	if s.n.tiering.fenced.Load() {
		return errFenced
	}
	file, g, cold, err := s.n.ledger.OpenOriginal(r)
	if cold {
		return errAsked
	}
	if errors.Is(err, ledger.ErrNoSegment) {
		return fmt.Errorf("%w; another member may have the file that the object was made of: transfer leadership to it, and "+
			"scrub again", err)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := s.isOriginal(ctx, file, r.Object, pace); err != nil {
		return err
	}
	switch _, err := s.store.Head(ctx, r.Object.Name); {
	case err == nil && !s.isRehearsed(objectID(r)):
		if err := s.rehearse(ctx, file, r, pace); err != nil {
			return err
		}
	case err == nil:
	case !errors.Is(err, tier.ErrNotFound):
		return err
	}
	damage, err := s.readObject(ctx, r.Object, pace)
	switch {
	case err != nil || damage == nil:
		return err
	case !s.recorded(r):
		return fmt.Errorf("%w any more: %s", ledger.ErrNoSegment, objectID(r))
	case s.n.tiering.fenced.Load():
		return errFenced
	case isMissing(damage): // another member may be about to put it, too: there is nothing to delete
		return s.putAgain(ctx, file, g, r)
	case known == nil || damage.Reason != known.Reason:
		s.note(r, func(b *badObject) { b.damage = damage })
		return unsteady(r.Object, known, damage)
	}
	// What is open may have been given up meanwhile, by an eviction that began before: then it is the last of this member.
	listed, _, cold, err := s.n.ledger.OpenOriginal(r)
	if cold {
		return errAsked
	}
	if err != nil {
		return err
	}
	if err := listed.Close(); err != nil {
		return err
	}
	if err := s.store.Delete(ctx, r.Object.Name); errors.Is(err, tier.ErrLocked) {
		s.note(r, func(b *badObject) { b.locked = true })
		return fmt.Errorf("%w, so the store keeps the damaged one until the retention ends: this member's file is good, and "+
			"must not go; %s", err, "scrub again then")
	} else if err != nil {
		return fmt.Errorf("delete the damaged object: %w", err)
	}
	s.note(r, func(b *badObject) { b.deleted = true })
	return s.putAgain(ctx, file, g, r)
}

// putAgain puts the object of a segment from a file that has its bytes.
func (s *scrubber) putAgain(ctx context.Context, file io.ReaderAt, g manifest.Segment, r manifest.Recorded) error {
	sum := [sha256.Size]byte(r.Object.SHA256)
	s.makes(r.Object.Name)
	defer s.makes("")
	made, _, err := tier.NewUploader(s.store, tier.UploaderOptions{Retry: s.n.tiering.retry}).Upload(ctx, tier.SegmentFile{
		SegmentMetadata: tier.SegmentMetadata{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq, Entries: g.Entries, Root: g.Root,
			MetaOffset: int64(r.Object.MetaOffset), MinKey: g.MinKey, MaxKey: g.MaxKey},
		Bytes: file, Size: int64(r.Object.Bytes), SHA256: &sum})
	if err != nil {
		return fmt.Errorf("put the object again: %w", err)
	}
	if made.Name != r.Object.Name || made.SHA256 != sum {
		return fmt.Errorf("put the object again: %w: %s stands there", tier.ErrChanged, made.Name)
	}
	return nil
}

// rehearseEvery is how long a rehearsal holds: repairs that fail behind it are tried again much sooner.
const rehearseEvery = time.Hour

// rehearse puts the bytes of a file under another name, reads them back, and drops them again. It is not the whole play: that has
// the store's retention and storage class, too.
func (s *scrubber) rehearse(ctx context.Context, file io.ReaderAt, r manifest.Recorded,
	pace func(context.Context, int) error) error {
	now := s.n.opts.Now()
	o := r.Object
	o.Name = fmt.Sprintf("%smend-%x-%x-%s", tier.ScratchPrefix, s.n.opts.NodeID, now.UnixNano(), path.Base(o.Name))
	s.makes(o.Name)
	defer s.makes("")
	body := tier.Body{Bytes: file, Size: int64(o.Bytes), SHA256: o.SHA256}
	err := s.n.tiering.retry.Do(ctx, func(ctx context.Context) error {
		_, _, err := tier.PutSame(ctx, s.store, o.Name, body, tier.PutOptions{})
		return err
	})
	locked := false
	if err == nil {
		var damage *vfs.CorruptError
		if damage, err = s.readObject(ctx, o, pace); damage != nil {
			err = fmt.Errorf("it does not come back as it went: %w", wayError(o.Name))
		}
		derr := s.store.Delete(ctx, o.Name) // what is left of it is swept
		if locked = errors.Is(derr, tier.ErrLocked); err == nil && !locked {
			err = derr
		}
	}
	if err != nil {
		return fmt.Errorf("put its bytes under another name before it is deleted: %w", err)
	}
	s.note(r, func(b *badObject) { b.rehearsed, b.locked = now, b.locked || locked })
	return nil
}

// isRehearsed says whether the store has taken an object's bytes of late. Where it keeps what was put, under a lock, once is
// enough.
func (s *scrubber) isRehearsed(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bad[id]
	return b != nil && (b.locked || !b.rehearsed.IsZero() && s.n.opts.Now().Sub(b.rehearsed) < rehearseEvery)
}

// unsteady is the error of an object that was damaged in another way when it was read before; a nil one says that this is
// not known.
func unsteady(o manifest.Object, one, other *vfs.CorruptError) error {
	if one == nil {
		return fmt.Errorf("it is read again before it is deleted (%s): %w", other.Reason, wayError(o.Name))
	}
	return fmt.Errorf("it was read twice and damaged in different ways, so that happens on the way here (%s; %s): %w", one.Reason,
		other.Reason, wayError(o.Name))
}

// wayError says that it is the way to the store that damages bytes.
func wayError(name string) error {
	return &tier.Error{Op: "get", Key: name, Temporary: true, Err: tier.ErrMismatch}
}

// makes takes note of the object that is being put again; empty for none. The caller holds mending.
func (s *scrubber) makes(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.making = name
}

// isMaking says whether an object is being put again, so that its upload is not left over. For any goroutine.
func (s *scrubber) isMaking(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return name != "" && s.making == name
}

// isOriginal says whether a file has the bytes that an object was made of.
func (s *scrubber) isOriginal(ctx context.Context, file io.ReaderAt, o manifest.Object, pace func(context.Context, int) error,
) error {
	h, buf := sha256.New(), make([]byte, scrubPieceBytes)
	for off := uint64(0); off < o.Bytes; {
		piece := buf[:min(scrubPieceBytes, o.Bytes-off)]
		if n, err := file.ReadAt(piece, int64(off)); n < len(piece) {
			return fmt.Errorf("read this member's file at %d: %w", off, err)
		}
		h.Write(piece)
		off += uint64(len(piece))
		s.metrics.bytes.WithLabelValues(whatFile).Add(float64(len(piece)))
		if err := pace(ctx, len(piece)); err != nil {
			return err
		}
	}
	if sum := h.Sum(nil); !bytes.Equal(sum, o.SHA256[:]) {
		return fmt.Errorf("this member's file has SHA-256 %x, the object was made of one with %s: if the file is not damaged, "+
			"another member may have that one: transfer leadership to it, and scrub again", sum, o.SHA256)
	}
	return nil
}
