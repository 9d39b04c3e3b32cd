package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// Copy is what this member has of a segment in a file of its own: the segment, or the meta tail of its object.
type Copy struct {
	ID       string
	FirstSeq uint64
	File     string
	Bytes    uint64 // of the file
	Meta     bool   // it is a meta tail
}

// dropCacheBytes is the size up to which a file is read from the device when it is verified, and not from what the system
// has of it in memory. Of a larger one that would take away, for as long as the reading takes, what reads are answered from.
const dropCacheBytes = 64 << 20

// Copies returns what this member has of the segments that its manifest lists, by ascending seq; none while there is no
// state.
func (l *Ledger) Copies() []Copy {
	v, err := l.acquire()
	if err != nil {
		return nil
	}
	defer v.release()
	out := make([]Copy, 0, len(v.tables))
	for _, t := range v.tables {
		if t.file != nil { // else the meta tail is in the store, too
			out = append(out, l.copyOf(t))
		}
	}
	return out
}

func (l *Ledger) copyOf(t *table) Copy {
	c := Copy{ID: tlog.SegmentID(t.first, t.last), FirstSeq: t.first, File: l.fileOf(t), Bytes: t.Info().Bytes, Meta: t.cold()}
	if c.Meta {
		c.Bytes = t.object.Bytes - t.object.MetaOffset
	}
	return c
}

// VerifyCopy reads a copy whole from its file, past the block cache, and holds every byte against its checksum and the
// whole against the segment's root. Of a meta tail the root is all that is known: see sstable.Table.VerifyMeta. pace, if it
// is not nil, is called between pieces with how many bytes were read, and may wait; its error ends the reading, and is
// returned. So is the context's.
//
// ErrNoSegment says that the copy is none of this state any more: merged, evicted, fetched or replaced, before or while
// it was read. Damage is a *vfs.CorruptError that names the file; Options.Damaged is told of that of a segment, not of that
// of a meta tail, which RenewMeta repairs. For any goroutine; nobody waits for it.
func (l *Ledger) VerifyCopy(ctx context.Context, c Copy, pace func(context.Context, int) error) error {
	t, err := l.borrowCopy(c)
	if err != nil {
		return err
	}
	defer t.release()
	return l.verifyTable(c, t, &copySource{ctx: ctx, table: t, file: t.file, name: c.File, pace: pace})
}

func (l *Ledger) verifyTable(c Copy, t *table, src *copySource) error {
	err := src.open(l)
	if err == nil {
		err = src.verify()
	}
	if src.stopped != nil {
		return src.stopped
	}
	if err == nil {
		err = src.settle()
	}
	if err != nil && !l.stands(t) {
		return gone(c)
	}
	if !c.Meta {
		l.noteDamage(err)
	}
	return err
}

func gone(c Copy) error { return fmt.Errorf("%w any more: %s", ErrNoSegment, c.File) }

// borrowCopy returns the table that a copy is of, with a reference.
func (l *Ledger) borrowCopy(c Copy) (*table, error) {
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	defer v.release()
	t := v.tableOf(c.FirstSeq)
	if t == nil || l.copyOf(t) != c {
		return nil, gone(c)
	}
	t.refs.Add(1)
	return t, nil
}

// stands says whether readers go to a table yet.
func (l *Ledger) stands(t *table) bool {
	v, err := l.acquire()
	if err != nil {
		return false
	}
	defer v.release()
	return v.tableOf(t.first) == t
}

// copySource is a segfile.Source over the file of a table, for who verifies it. It is for one goroutine.
type copySource struct {
	ctx   context.Context
	table *table
	file  vfs.File
	name  string
	base  int64 // where the file begins in the segment: behind 0 for a meta tail
	size  int64 // of the segment
	pace  func(context.Context, int) error

	unpaced int   // bytes read since pace was called
	stopped error // why no more is read, if not for damage
}

// pacePiece is about how many bytes are read between two calls of pace.
const pacePiece = 128 << 10

// open finds out whether the file is as long as it should be, and where it should be.
func (s *copySource) open(l *Ledger) error {
	size, err := s.file.Size()
	if err != nil {
		return err
	}
	s.size = size
	if s.table.cold() {
		s.base, s.size = int64(s.table.object.MetaOffset), int64(s.table.object.Bytes)
		if size != s.size-s.base {
			return &vfs.CorruptError{File: s.name, Offset: min(size, s.size-s.base), Reason: fmt.Sprintf(
				"the meta tail has %d bytes, %s has one of %d", size, s.table.object.Name, s.size-s.base)}
		}
	}
	// The table has the file open, so it would be read all the same when it is in no directory any more.
	if _, err := l.opts.FS.Stat(s.name); errors.Is(err, fs.ErrNotExist) {
		return &vfs.CorruptError{File: s.name, Reason: "the file is gone from its directory, and lost with the end of this process"}
	} else if err != nil {
		return err
	}
	if size <= dropCacheBytes {
		_ = s.file.DropCache() // a hint: what cannot be dropped is read from memory
	}
	return nil
}

func (s *copySource) verify() error {
	info := s.table.Info()
	fresh, err := sstable.Open(s, sstable.Options{Expect: &info, ResidentBytes: -1})
	switch {
	case err != nil:
	case s.table.cold():
		err = fresh.VerifyMeta(s.ctx)
	default:
		err = fresh.Verify(s.ctx, nil)
	}
	var corrupt *vfs.CorruptError
	if errors.As(err, &corrupt) && s.table.cold() {
		return &vfs.CorruptError{File: s.name, Offset: max(0, corrupt.Offset-s.base), Reason: "in the meta tail: " + corrupt.Reason}
	}
	return err
}

// settle pays for what was read last.
func (s *copySource) settle() error {
	n := s.unpaced
	s.unpaced = 0
	if s.pace == nil || n == 0 {
		return nil
	}
	return s.pace(s.ctx, n)
}

// ReadAt follows io.ReaderAt.
func (s *copySource) ReadAt(p []byte, off int64) (int, error) {
	if s.stopped == nil {
		s.stopped = s.goOn()
	}
	if s.stopped != nil {
		return 0, s.stopped
	}
	if off < s.base {
		return 0, &vfs.CorruptError{File: s.name, Reason: fmt.Sprintf("the meta tail points at its own at %d, before it begins", off)}
	}
	n, err := s.file.ReadAt(p, off-s.base)
	s.unpaced += n
	return n, err
}

// goOn says why the reading ends here; nil when it does not.
func (s *copySource) goOn() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if s.table.doomed.Load() {
		return fmt.Errorf("%w any more: %s", ErrNoSegment, s.name)
	}
	if s.unpaced >= pacePiece {
		return s.settle()
	}
	return nil
}

// Size is that of the whole segment.
func (s *copySource) Size() int64 { return s.size }

// Name is the file's.
func (s *copySource) Name() string { return s.name }

var _ segfile.Source = (*copySource)(nil)

// OpenOriginal opens this member's file of a recorded segment, if its object may have been made of it: the file has as
// many bytes. Whoever makes an object good compares its SHA-256. ErrNoSegment when there is none here; cold says that
// there is no file at all because the segment is evicted.
func (l *Ledger) OpenOriginal(r manifest.Recorded) (f *SegmentFile, g manifest.Segment, cold bool, err error) {
	v, err := l.acquire()
	if err != nil {
		return nil, g, false, err
	}
	defer v.release()
	id := tlog.SegmentID(r.FirstSeq, r.LastSeq)
	g, ok := v.state.Segment(r.FirstSeq)
	if !ok || g.FirstSeq != r.FirstSeq || g.LastSeq != r.LastSeq || g.Root != r.Root {
		return nil, g, false, fmt.Errorf("%w: %s", ErrNoSegment, id)
	}
	t := v.tableOf(r.FirstSeq)
	if t.cold() {
		return nil, g, true, fmt.Errorf("%w: %s is in the object store only", ErrNoSegment, id)
	}
	if g.Bytes != r.Object.Bytes {
		return nil, g, false, fmt.Errorf("%w: the file of %s has %d bytes, its object was made of one of %d", ErrNoSegment, id,
			g.Bytes, r.Object.Bytes)
	}
	f, err = l.openSegmentFile(partOf(g), t)
	return f, g, false, err
}
