package tier

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// SegmentFile is a segment to be uploaded. The file must not change or be closed meanwhile.
type SegmentFile struct {
	SegmentMetadata
	Bytes  io.ReaderAt
	Size   int64
	SHA256 *[sha256.Size]byte // of all Size bytes; nil: they are read once more for it
}

// Limiter is a token bucket of bytes, such as a *rate.Limiter. It is asked for at most LimiterBytes at a time.
type Limiter interface {
	WaitN(ctx context.Context, n int) error
}

// LimiterBytes is the least burst that a Limiter must allow.
const LimiterBytes = 64 << 10

// UploaderOptions are the settings of an Uploader. Zero values mean the defaults given.
type UploaderOptions struct {
	// Retry is how often an upload is tried, and how. Its Tries are 6 by default. A Budget shared with others keeps them
	// from adding to what overloads the store.
	Retry Retry
	// Sent and Received limit the bytes sent and read back. nil: no limit.
	Sent, Received Limiter
	// CheckOther is asked when another file of the same segment is the object already, with an object whose bytes have
	// the SHA-256 that was announced for them. It says whether they are this segment: by its root, from the
	// bytes. nil: such an upload fails with ErrChanged.
	CheckOther func(ctx context.Context, o SealedObject, want SegmentMetadata) error
}

// Uploader puts segments into a store and reads them back. It is safe for concurrent use; how many uploads there are
// at a time, and their memory with it, is the caller's to bound: an upload holds what the store's Put does, and one
// buffer of LimiterBytes. It starts no goroutines of its own.
type Uploader struct {
	store Store
	opts  UploaderOptions
}

// NewUploader returns an uploader to the store.
func NewUploader(store Store, opts UploaderOptions) *Uploader {
	opts.Retry.Tries = cmp.Or(opts.Retry.Tries, 6)
	return &Uploader{store, opts}
}

// Upload makes the object of a segment, unless there is one, reads it back whole, and returns what to record of it.
// made says that it was made now; another uploader, or an earlier try whose answer was lost, may have been before it,
// and then the object may be another file of the same segment.
//
// An object that is there and wrong is a *vfs.CorruptError that names it; it is not touched. Other errors are the
// store's, the file's or the context's, and nothing is known of the object then: the same call may be made again.
func (u *Uploader) Upload(ctx context.Context, f SegmentFile) (o SealedObject, made bool, err error) {
	body, err := u.body(f)
	if err != nil {
		return SealedObject{}, false, err
	}
	o.Name = SegmentName(f.FirstSeq, f.LastSeq, f.Root)
	body.Bytes, body.Again = &limitedReader{ctx: ctx, r: f.Bytes, limit: u.opts.Sent}, f.Bytes
	other := false
	err = u.opts.Retry.Do(ctx, func(ctx context.Context) error {
		o.Bytes, o.SHA256, o.MetaOffset, other = body.Size, body.SHA256, f.MetaOffset, false
		_, err := u.store.Put(ctx, o.Name, body, PutOptions{Metadata: f.Metadata(), Sealed: true})
		if err == nil {
			made = true
		}
		if errors.Is(err, ErrExists) {
			other, err = u.existing(ctx, f, body, &o)
		}
		if err == nil {
			err = u.readBack(ctx, &o)
		}
		return err
	})
	if err != nil {
		return SealedObject{}, made, fmt.Errorf("tier: upload %s: %w", o.Name, err)
	}
	if !other {
		return o, made, nil
	}
	if u.opts.CheckOther == nil {
		return SealedObject{}, false, fmt.Errorf("tier: upload %s: another file of the segment is there: %w", o.Name,
			ErrChanged)
	}
	if err := u.opts.CheckOther(ctx, o, f.SegmentMetadata); err != nil {
		return SealedObject{}, false, fmt.Errorf("tier: upload %s: another file of the segment is there: %w", o.Name, err)
	}
	return o, false, nil
}

func (u *Uploader) body(f SegmentFile) (Body, error) {
	if f.Size <= 0 || f.MetaOffset < 0 || f.MetaOffset > f.Size {
		return Body{}, fmt.Errorf("%w: a segment of %d bytes with its meta tail at %d", ErrInvalid, f.Size, f.MetaOffset)
	}
	if f.SHA256 != nil {
		return Body{Bytes: f.Bytes, Size: f.Size, SHA256: *f.SHA256}, nil
	}
	return NewBody(f.Bytes, f.Size)
}

// existing describes in o the object that stands in the segment's place. other says that it is not the file f.
func (u *Uploader) existing(ctx context.Context, f SegmentFile, body Body, o *SealedObject) (other bool, err error) {
	there, err := u.store.Head(ctx, o.Name)
	if err != nil {
		return false, swept(err)
	}
	store := u.store.Name()
	if len(there.SHA256) != sha256.Size {
		return false, o.damaged(store, 0, "an object without a SHA-256 stands in the segment's place")
	}
	o.Bytes, o.SHA256 = there.Size, [sha256.Size]byte(there.SHA256)
	if o.Bytes == body.Size && o.SHA256 == body.SHA256 {
		o.MetaOffset = f.MetaOffset
		return false, nil
	}
	m, err := ParseSegmentMetadata(there.Metadata)
	switch {
	case err != nil:
		return false, o.damaged(store, 0, "an object stands in the segment's place that says of itself: %v", err)
	case m.FirstSeq != f.FirstSeq || m.LastSeq != f.LastSeq || m.Entries != f.Entries || m.Root != f.Root:
		return false, o.damaged(store, 0, "the object says that it is segment %d-%d with %d entries and root %s, "+
			"not %d-%d with %d and %s", m.FirstSeq, m.LastSeq, m.Entries, m.Root, f.FirstSeq, f.LastSeq, f.Entries, f.Root)
	case m.MetaOffset > o.Bytes:
		return false, o.damaged(store, 0, "the object of %d bytes says that its meta tail begins at %d", o.Bytes,
			m.MetaOffset)
	}
	o.MetaOffset = m.MetaOffset
	return true, nil
}

// readBack reads the object whole and holds it against o. Bytes that are wrong are read a second time: only what is
// wrong twice is wrong in the store.
func (u *Uploader) readBack(ctx context.Context, o *SealedObject) error {
	err := u.compare(ctx, o)
	if errors.Is(err, ErrMismatch) {
		err = u.compare(ctx, o)
	}
	if errors.Is(err, ErrMismatch) {
		return o.damaged(u.store.Name(), 0, "its %d bytes do not have the SHA-256 %x that they were put with", o.Bytes,
			o.SHA256)
	}
	return err
}

func (u *Uploader) compare(ctx context.Context, o *SealedObject) error {
	r, err := u.store.Get(ctx, o.Name, 0, Rest)
	if err != nil {
		return swept(err)
	}
	err = u.hash(ctx, r, o)
	return errors.Join(err, r.Close())
}

// hash compares what r gives with o, in pieces.
func (u *Uploader) hash(ctx context.Context, r *Reader, o *SealedObject) error {
	if err := o.check(u.store.Name(), r.Object); err != nil {
		return err
	}
	h, buf := sha256.New(), make([]byte, LimiterBytes)
	for left := o.Bytes; left > 0; {
		n := int(min(left, int64(len(buf))))
		if err := wait(ctx, u.opts.Received, n); err != nil {
			return err
		}
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			return cut(o.Name, err)
		}
		h.Write(buf[:n])
		left -= int64(n)
	}
	if [sha256.Size]byte(h.Sum(nil)) != o.SHA256 {
		return failed("get", o.Name, ErrMismatch)
	}
	return nil
}

// swept is the error of an object that was there and is not any more: it can be put anew.
func swept(err error) error {
	var e *Error
	if errors.As(err, &e) && errors.Is(err, ErrNotFound) {
		return &Error{Op: e.Op, Key: e.Key, Temporary: true, Err: ErrNotFound}
	}
	return err
}

// limitedReader takes what it reads from a limiter.
type limitedReader struct {
	ctx   context.Context
	r     io.ReaderAt
	limit Limiter
}

func (l *limitedReader) ReadAt(p []byte, off int64) (n int, err error) {
	if l.limit == nil {
		return l.r.ReadAt(p, off)
	}
	for n < len(p) && err == nil {
		piece := min(len(p)-n, LimiterBytes)
		if err := wait(l.ctx, l.limit, piece); err != nil {
			return n, err
		}
		var got int
		got, err = l.r.ReadAt(p[n:n+piece], off+int64(n))
		n += got
	}
	return n, err
}

func wait(ctx context.Context, l Limiter, n int) error {
	if l == nil {
		return nil
	}
	return l.WaitN(ctx, n)
}
