package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// objectPieceBytes is what is asked of the store at once: a request that lasts as long as the scrubber's rate makes it
	// would be cut off by some stores.
	objectPieceBytes = 8 << 20
	scrubPieceBytes  = 64 << 10
	// scrubPause is how long the store is left alone after it failed.
	scrubPause = time.Minute
)

// objectID is the id of a recorded segment.
func objectID(r manifest.Recorded) string { return tlog.SegmentID(r.FirstSeq, r.LastSeq) }

// objectStep reads the next object, if it is due and this node leads.
func (s *scrubber) objectStep(now time.Time) bool {
	if s.store == nil || s.objects.every < 0 || !s.leads() {
		return false
	}
	objects := s.n.ledger.Objects()
	firsts, total := make([]uint64, len(objects)), uint64(0)
	for i := range objects {
		firsts[i] = objects[i].FirstSeq
		total += objects[i].Object.Bytes
	}
	s.mu.Lock()
	first := !s.objects.begun
	i, ok := s.objects.next(now, s.draw, firsts)
	switch {
	case ok && first:
		// Not at once: nodes that start again and again, or that lead by turns, would read more than one that stays.
		s.objects.passed(now, firsts[i], objects[i].Object.Bytes, total)
		s.objects.at, ok = firsts[i], false
	case ok:
		s.objects.passed(now, firsts[i], objects[i].Object.Bytes, total)
	}
	s.mu.Unlock()
	if !ok {
		return false
	}
	f, err := s.checkObject(s.ctx, objects[i], s.pace)
	if f != nil {
		s.unwatch(whatObject, f)
	}
	if errors.Is(err, tier.ErrMismatch) { // each time differently: it comes again in the next round, like all others
		s.log.Warn("an object cannot be read for sure", "object", objects[i].Object.Name, "error", err)
	} else if err != nil && s.ctx.Err() == nil {
		s.log.Warn("an object cannot be read again now; it is tried again", "object", objects[i].Object.Name, "error", err,
			"retry_in", scrubPause)
		s.mu.Lock()
		s.objects.at, s.objects.due = firsts[i], now.Add(scrubPause)
		s.mu.Unlock()
	}
	return true
}

// checkObject reads an object whole, and has it repaired when it is not what the log has recorded. What is found is watched:
// the caller ends that. An error says that nothing is known of the object now.
func (s *scrubber) checkObject(ctx context.Context, r manifest.Recorded, pace func(context.Context, int) error,
) (*ScrubFinding, error) {
	damage, err := s.readObject(ctx, r.Object, pace)
	if damage != nil { // in the store, or on the way?
		first := damage
		if damage, err = s.readObject(ctx, r.Object, pace); damage != nil && damage.Reason != first.Reason {
			err = unsteady(r.Object, first, damage)
		}
	}
	if err != nil {
		return nil, err
	}
	s.metrics.copies.WithLabelValues(whatObject).Inc()
	if damage == nil {
		s.forget(objectID(r))
		return nil, nil
	}
	if !s.recorded(r) {
		return nil, nil // the segment was merged, and the object may go any time
	}
	f := &ScrubFinding{Segment: objectID(r), File: damage.File}
	s.watch(whatObject, f)
	s.fill(f, damage)
	s.report(whatObject, f, damage)
	s.mend(ctx, r, f, damage, pace)
	return f, nil
}

// readObject holds an object against what is recorded of it.
func (s *scrubber) readObject(ctx context.Context, o manifest.Object, pace func(context.Context, int) error,
) (damage *vfs.CorruptError, err error) {
	h, buf, etag := sha256.New(), make([]byte, scrubPieceBytes), ""
	for off := uint64(0); off < o.Bytes; off += objectPieceBytes {
		n := min(objectPieceBytes, o.Bytes-off)
		tag, err := s.readPiece(ctx, o, off, n, func(r io.Reader) error {
			for left := n; left > 0; {
				piece := buf[:min(left, scrubPieceBytes)]
				if _, err := io.ReadFull(r, piece); err != nil {
					return err
				}
				h.Write(piece)
				left -= uint64(len(piece))
				s.metrics.bytes.WithLabelValues(whatObject).Add(float64(len(piece)))
				if err := pace(ctx, len(piece)); err != nil {
					return err
				}
			}
			return nil
		})
		if corrupt := (*vfs.CorruptError)(nil); errors.As(err, &corrupt) {
			return corrupt, nil
		}
		if err != nil {
			return nil, err
		}
		if etag != "" && tag != etag {
			return nil, fmt.Errorf("%w while it was read: %s", tier.ErrChanged, o.Name)
		}
		etag = tag
	}
	if sum := h.Sum(nil); !bytes.Equal(sum, o.SHA256[:]) {
		return s.damaged(o, 0, "its %d bytes have SHA-256 %x, %s is recorded", o.Bytes, sum, o.SHA256), nil
	}
	return nil, nil
}

// missing is the reason of an object that is not there.
const missing = "the object is recorded, and missing in the store"

func isMissing(damage *vfs.CorruptError) bool { return damage.Reason == missing }

func (s *scrubber) damaged(o manifest.Object, at uint64, format string, args ...any) *vfs.CorruptError {
	return &vfs.CorruptError{File: s.store.Name() + "/" + o.Name, Offset: int64(at), Reason: fmt.Sprintf(format, args...)}
}

// readPiece gives a piece of an object to read, and returns the ETag of the object that it is of. What the store says of
// the object that cannot be of the one recorded is a *vfs.CorruptError; a failure of the store is not.
func (s *scrubber) readPiece(ctx context.Context, o manifest.Object, off, n uint64, read func(io.Reader) error,
) (etag string, err error) {
	body, err := s.store.Get(ctx, o.Name, int64(off), int64(n))
	switch {
	case errors.Is(err, tier.ErrNotFound):
		return "", s.damaged(o, 0, missing)
	case errors.Is(err, tier.ErrRange):
		return "", s.damaged(o, off, "the object is shorter than the %d bytes that are recorded", o.Bytes)
	case err != nil:
		return "", err
	}
	defer body.Close()
	if size := uint64(body.Object.Size); size != o.Bytes {
		return "", s.damaged(o, min(size, o.Bytes), "the object has %d bytes, %d are recorded", size, o.Bytes)
	}
	if sum := body.Object.SHA256; sum != nil && !bytes.Equal(sum, o.SHA256[:]) {
		return "", s.damaged(o, 0, "the object was put with SHA-256 %x, %s is recorded", sum, o.SHA256)
	}
	return body.Object.ETag, read(body)
}

// badObject is an object that is not what the log has recorded.
type badObject struct {
	of      manifest.Recorded
	file    string
	damage  *vfs.CorruptError
	asked   bool // a member is asked for a file of the segment
	deleted bool // by this node: it must come back, whoever leads by now
	locked  bool // by its retention, when this node would have deleted it, or what it put to rehearse that
	// rehearsed is when the store took the bytes under another name.
	rehearsed time.Time
	next      time.Time // when its repair is tried again; never before it is read again when zero
}

// note takes note of how the repair of an object stands.
func (s *scrubber) note(r manifest.Recorded, edit func(*badObject)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bad[objectID(r)]
	if b == nil || b.of != r {
		b = &badObject{of: r}
		s.bad[objectID(r)] = b
	}
	edit(b)
}

func (s *scrubber) forget(id string) {
	s.mu.Lock()
	delete(s.bad, id)
	s.mu.Unlock()
}

// forgetMerged forgets the damaged objects that the log has no more.
func (s *scrubber) forgetMerged() {
	s.mu.Lock()
	some := len(s.bad) > 0
	s.mu.Unlock()
	if !some {
		return
	}
	objects := s.n.ledger.Objects()
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.bad, func(_ string, b *badObject) bool { return !slices.Contains(objects, b.of) })
}

// distrusts says whether an object was found damaged and is not good again: the files of its segment must stay. For any
// goroutine.
func (s *scrubber) distrusts(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad[id] != nil
}

// mayEvict says whether a segment's file may go now: neither when its object is known to be damaged, whenever its eviction was
// planned, nor while any object is being made anew, for which that file may be the last there is. done ends it.
func (s *scrubber) mayEvict(id string) (done func(), ok bool) {
	if !s.mending.TryLock() {
		return nil, false
	}
	if s.distrusts(id) {
		s.mending.Unlock()
		return nil, false
	}
	return s.mending.Unlock, true
}

// fileCame takes note that a segment's file was fetched, and says whether that was for its object; forlorn, that none is to
// be had. For the fetcher.
func (s *scrubber) fileCame(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bad[id]
	if b == nil || !b.asked {
		return false
	}
	b.asked, b.next = false, s.n.opts.Now()
	return true
}

func (s *scrubber) forlorn(id string) {
	s.mu.Lock()
	if b := s.bad[id]; b != nil {
		b.asked, b.next = false, time.Time{}
	}
	for _, f := range s.watched[findingKey{whatObject, id}] {
		f.Reason += "; no member that answers has a file of the object's length"
	}
	s.mu.Unlock()
	s.tell()
}

// mendStep goes on with repairs of objects that had to wait.
func (s *scrubber) mendStep(now time.Time) bool {
	var due badObject
	found := false
	s.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(s.bad)) {
		if b := s.bad[id]; !b.asked && !b.next.IsZero() && !now.Before(b.next) {
			b.next = now.Add(scrubPause)
			due, found = *b, true
			break
		}
	}
	s.mu.Unlock()
	if !found {
		return false
	}
	if !s.recorded(due.of) {
		s.forget(objectID(due.of))
		return true
	}
	s.mend(s.ctx, due.of, &ScrubFinding{Segment: objectID(due.of), File: due.file}, due.damage, s.pace)
	return true
}
