package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// Cold is the object store, as the ledger reads it. All methods are safe for concurrent use.
type Cold interface {
	// Open returns a source over an object, and asks nothing of the store. meta gives [MetaOffset, Bytes) of the object,
	// from its own 0 on, and stays open as long as the source is in use. An error of the source's ReadAt says that the
	// store cannot be read at present and wraps no io.EOF, unless it is a *vfs.CorruptError of the object. Its Name is the
	// object's with that of its store, and no path of a file in Options.Dir.
	Open(o manifest.Object, meta io.ReaderAt) (segfile.Source, error)
	// Fetch returns the bytes [off, off+n) of an object, exactly these, or an error on the way. The caller closes it.
	Fetch(ctx context.Context, o manifest.Object, off, n uint64) (io.ReadCloser, error)
}

// metaSuffix is that of the meta tail of a segment that this member has no file of.
const metaSuffix = ".meta"

var (
	// ErrNoCold: what was asked for needs an object store, and Options.Cold is nil.
	ErrNoCold = errors.New("ledger: no object store is configured")
	// ErrNoObject: the segment has no verified object.
	ErrNoObject = errors.New("ledger: the segment has no object")
)

// ColdError says that a segment which is in the object store only could not be read there. It wraps why. A
// *vfs.CorruptError in it is damage of the object, or of the meta tail kept of it, and none of the ledger here.
type ColdError struct {
	Segment string // id
	Object  string
	Err     error
}

func (e *ColdError) Error() string {
	return fmt.Sprintf("segment %s is in the object store, as %s: %v", e.Segment, e.Object, e.Err)
}

// Unwrap is the cause.
func (e *ColdError) Unwrap() error { return e.Err }

// cold says whether the table reads its entries from the object store.
func (t *table) cold() bool { return t.object.Exists() }

// failed is an error of reading t, as readers are to know it.
func (t *table) failed(err error) error {
	if err == nil || !t.cold() {
		return err
	}
	return &ColdError{Segment: tlog.SegmentID(t.first, t.last), Object: t.object.Name, Err: err}
}

func (l *Ledger) metaFile(id string) string { return path.Join(l.segmentDir(), id+metaSuffix) }

func (l *Ledger) incomingMeta(id string) string { return path.Join(l.incomingDir(), id+metaSuffix) }

// isLocal says whether damage is of a file of the ledger's own. That of an object is the archive's: what this member
// has is whole, and taking the others' state in its place would mend nothing.
func (l *Ledger) isLocal(damage *vfs.CorruptError) bool {
	return strings.HasPrefix(damage.File, path.Clean(l.opts.Dir)+"/") || damage.File == l.segmentDir() ||
		path.Dir(damage.File) == l.segmentDir()
}

// openCold opens a segment over its object, with the meta tail in the file called name. It reads that file alone. Damage,
// and a tail of something else, is a *vfs.CorruptError; fs.ErrNotExist when there is no such file.
func (l *Ledger) openCold(name string, g manifest.Segment) (*table, error) {
	if l.opts.Cold == nil {
		return nil, fmt.Errorf("segment %s is in the object store, as %s: %w", infoOf(g).ID, g.Object.Name, ErrNoCold)
	}
	f, err := l.opts.FS.Open(name)
	if err != nil {
		return nil, err
	}
	t := &table{first: g.FirstSeq, last: g.LastSeq, file: f, owner: l, object: g.Object}
	t.refs.Store(1)
	if err := t.openCold(name, g); err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

func (t *table) openCold(name string, g manifest.Segment) error {
	size, err := t.file.Size()
	if err != nil {
		return err
	}
	if want := g.Object.Bytes - g.Object.MetaOffset; uint64(size) != want {
		return &vfs.CorruptError{File: name, Offset: size,
			Reason: fmt.Sprintf("the meta tail has %d bytes, %s has one of %d", size, g.Object.Name, want)}
	}
	src, err := t.owner.opts.Cold.Open(g.Object, t.file)
	if err != nil {
		return err
	}
	expect := infoOf(g)
	expect.Bytes = g.Object.Bytes
	t.Table, err = sstable.Open(coldSource{passing{src}, t}, sstable.Options{Cache: t.owner.cache, Expect: &expect})
	if corrupt := (*vfs.CorruptError)(nil); errors.As(err, &corrupt) { // nothing else was read
		return &vfs.CorruptError{File: name, Offset: max(0, corrupt.Offset-int64(g.Object.MetaOffset)),
			Reason: "in the meta tail: " + corrupt.Reason}
	}
	if err == nil && t.MetaOffset() != g.Object.MetaOffset {
		err = &vfs.CorruptError{File: name, Reason: fmt.Sprintf("the meta tail is of a file whose own begins at %d, that of %s "+
			"is said to begin at %d", t.MetaOffset(), g.Object.Name, g.Object.MetaOffset)}
	}
	return err
}

// fetchMeta brings the meta tail of a segment's object into a file of this name, durably, after verifying it against the
// root, and returns the table over both. It does not return early on what it finds there: the file is replaced.
func (l *Ledger) fetchMeta(ctx context.Context, name string, g manifest.Segment) (*table, error) {
	if l.opts.Cold == nil {
		return nil, fmt.Errorf("segment %s is in the object store, as %s: %w", infoOf(g).ID, g.Object.Name, ErrNoCold)
	}
	temporary := name + temporarySuffix
	t, err := l.writeMeta(ctx, temporary, g)
	if err != nil {
		_ = l.opts.FS.Remove(temporary) // if it cannot go now, the next start takes it away
		return nil, err
	}
	if err = l.opts.FS.Rename(temporary, name); err == nil {
		err = l.opts.FS.SyncDir(path.Dir(name))
	}
	if err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

func (l *Ledger) writeMeta(ctx context.Context, name string, g manifest.Segment) (*table, error) {
	ctx, cancel := l.whileOpen(ctx)
	defer cancel()
	if err := l.opts.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := l.opts.FS.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	err = l.pour(ctx, g, g.Object.MetaOffset, (&appender{f: f}).Write)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, err
	}
	t, err := l.openCold(name, g)
	if err == nil {
		if err = t.VerifyMeta(ctx); err == nil {
			return t, nil
		}
		t.release()
	}
	return nil, &ColdError{Segment: infoOf(g).ID, Object: g.Object.Name, Err: l.asOfObject(err, name, g)}
}

// asOfObject is damage met in a meta tail that has just come, told of the object that it came of: the file is none of this
// member's yet, and what is to be mended is there, or was on the way.
func (l *Ledger) asOfObject(err error, name string, g manifest.Segment) error {
	var corrupt *vfs.CorruptError
	if !errors.As(err, &corrupt) || corrupt.File != name {
		return err
	}
	src, oerr := l.opts.Cold.Open(g.Object, strings.NewReader(""))
	if oerr != nil {
		return err
	}
	return &vfs.CorruptError{File: src.Name(), Offset: int64(g.Object.MetaOffset) + corrupt.Offset, Reason: corrupt.Reason}
}

// pour gives the bytes of a segment's object from off on to write, piece by piece.
func (l *Ledger) pour(ctx context.Context, g manifest.Segment, off uint64, write func([]byte) (int, error)) error {
	failed := func(err error) error {
		return &ColdError{Segment: infoOf(g).ID, Object: g.Object.Name, Err: err}
	}
	left := g.Object.Bytes - off
	r, err := l.opts.Cold.Fetch(ctx, g.Object, off, left)
	if err != nil {
		return failed(err)
	}
	defer r.Close()
	buf := make([]byte, min(left, flushBufferBytes))
	for left > 0 {
		n, err := io.ReadFull(r, buf[:min(left, flushBufferBytes)])
		if err != nil {
			return failed(err)
		}
		if _, err := write(buf[:n]); err != nil {
			return err
		}
		left -= uint64(n)
	}
	return nil
}

// Interrupt ends what waits for the object store, now and from now on: an Apply, with ErrClosed, Evict, Fetch, a Staging.
// It is for an owner that has to join who calls them before it calls Close.
func (l *Ledger) Interrupt() { l.shut() }

// whileOpen returns a context that ends with ctx, after Options.ColdTimeout, and when the ledger is closed.
func (l *Ledger) whileOpen(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.ColdTimeout)
	stop := context.AfterFunc(l.closing, cancel)
	return ctx, func() { stop(); cancel() }
}

// openPresent opens a listed segment from where it is: its file, or, where that is gone and the segment has an object, its
// meta tail and the object. A tail that is missing or damaged is fetched anew. So a ledger whose meta tails are all here
// opens while the object store is away. A tail that has leaves from seq tail on, which Open reads, is verified whole.
func (l *Ledger) openPresent(g manifest.Segment, tail uint64) (*table, error) {
	info := infoOf(g)
	if !g.Object.Exists() {
		return l.openTable(l.segmentFile(info.ID), info)
	}
	if _, err := l.opts.FS.Stat(l.segmentFile(info.ID)); err == nil {
		info.Bytes = 0 // it may be as it was built here, or as it came back from the store
		return l.openTable(l.segmentFile(info.ID), info)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t, err := l.openCold(l.metaFile(info.ID), g)
	if err == nil {
		if _, err = t.LedgerNodes(); err == nil && g.LastSeq >= tail {
			err = t.VerifyMeta(l.closing)
		}
		if err != nil {
			t.release()
		}
	}
	var corrupt *vfs.CorruptError
	if !errors.Is(err, fs.ErrNotExist) && !errors.As(err, &corrupt) {
		return t, err
	}
	if corrupt == nil {
		l.opts.Logger.Info("the meta tail of a cold segment is fetched", "segment", info.ID, "object", g.Object.Name)
	} else {
		l.opts.Logger.Warn("the meta tail of a cold segment is damaged, and is fetched anew", "segment", info.ID, "object",
			g.Object.Name, "error", err)
	}
	return l.fetchMeta(context.Background(), l.metaFile(info.ID), g)
}

// placed returns a state as of where its segments are: tables are those of its segments.
func placed(state *manifest.State, tables []*table) *manifest.State {
	next := *state
	next.Segments = append([]manifest.Segment(nil), state.Segments...)
	for i, t := range tables {
		g := &next.Segments[i]
		g.Bytes, g.Tier = t.Info().Bytes, manifest.Local
		switch {
		case t.cold():
			g.Tier, g.Object = manifest.Cold, t.object
		case g.Object.Exists():
			g.Tier = manifest.Both
		}
	}
	return &next
}
