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

var errAsked = errors.New("its file is fetched from a member, and the object made anew from that")

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
		return errors.New("the archive is not this cluster's")
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
	case err == nil && !s.isLocked(objectID(r)): // else it was rehearsed, and would leave another locked object each time
		if err := s.rehearse(ctx, file, r.Object); err != nil {
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
	case damage.Reason != known.Reason && !isMissing(damage):
		s.note(r, func(b *badObject) { b.damage = damage })
		return unsteady(r.Object, known, damage)
	}
	if !s.recorded(r) {
		return fmt.Errorf("%w any more: %s", ledger.ErrNoSegment, objectID(r))
	}
	if err := s.store.Delete(ctx, r.Object.Name); errors.Is(err, tier.ErrLocked) {
		s.note(r, func(b *badObject) { b.locked = true })
		return fmt.Errorf("%w, so the store keeps the damaged one until the retention ends: this member's file is good, and "+
			"must not go; %s", err, "scrub again then")
	} else if err != nil {
		return fmt.Errorf("delete the damaged object: %w", err)
	}
	s.note(r, func(b *badObject) { b.deleted = true })
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

// rehearse puts the bytes of a file under another name, and drops them again.
func (s *scrubber) rehearse(ctx context.Context, file io.ReaderAt, o manifest.Object) error {
	name := fmt.Sprintf("%smend-%x-%x-%s", tier.ScratchPrefix, s.n.opts.NodeID, s.n.opts.Now().UnixNano(), path.Base(o.Name))
	s.makes(name)
	defer s.makes("")
	body := tier.Body{Bytes: file, Size: int64(o.Bytes), SHA256: o.SHA256}
	err := s.n.tiering.retry.Do(ctx, func(ctx context.Context) error {
		_, _, err := tier.PutSame(ctx, s.store, name, body, tier.PutOptions{})
		return err
	})
	if err == nil {
		err = s.store.Delete(ctx, name)
	}
	if err != nil && !errors.Is(err, tier.ErrLocked) { // what is left of it is swept
		return fmt.Errorf("put its bytes under another name before it is deleted: %w", err)
	}
	return nil
}

func (s *scrubber) isLocked(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bad[id]
	return b != nil && b.locked
}

// unsteady is the error of an object that was read twice, and was damaged in different ways.
func unsteady(o manifest.Object, one, other *vfs.CorruptError) error {
	return fmt.Errorf("it was read twice and damaged in different ways, so that happens on the way here (%s; %s): %w", one.Reason,
		other.Reason, &tier.Error{Op: "get", Key: o.Name, Temporary: true, Err: tier.ErrMismatch})
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
