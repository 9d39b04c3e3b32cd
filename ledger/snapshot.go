package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/vfs"
)

// Snapshot returns the state that the manifest on disk holds, encoded, and the raft index it is as of: together with
// the segments it names it is the snapshot of this state machine. ErrRebuilding while there is none.
func (l *Ledger) Snapshot() (encoded []byte, index uint64, err error) {
	if l.absent.Load() {
		return nil, 0, ErrRebuilding
	}
	state := l.peek().state
	return state.Encode(), state.AppliedIndex, nil
}

// SegmentFile is the file of a segment, as another member may copy it. It stays, also when the segment is replaced, until
// Close.
type SegmentFile struct {
	vfs.File
	Bytes uint64

	once  sync.Once
	table *table // referenced: what nobody refers to is removed, piece by piece
}

// Close lets the file go.
func (f *SegmentFile) Close() error {
	err := f.File.Close()
	f.once.Do(f.table.release)
	return err
}

// OpenSegment opens the file of the segment that part names, if this ledger has it: the same entries with the same root
// in as many bytes. ErrNoSegment when it does not.
func (l *Ledger) OpenSegment(part SegmentPart) (*SegmentFile, error) {
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	defer v.release()
	s, ok := v.state.Segment(part.FirstSeq)
	if !ok || partOf(s) != part {
		return nil, fmt.Errorf("%w: %s", ErrNoSegment, part.ID())
	}
	return l.openSegmentFile(part, v.tableOf(part.FirstSeq))
}

func (l *Ledger) openSegmentFile(part SegmentPart, t *table) (*SegmentFile, error) {
	f, err := l.opts.FS.Open(l.segmentFile(part.ID()))
	if errors.Is(err, fs.ErrNotExist) { // evicted, or another state has taken this one's place since
		return nil, fmt.Errorf("%w: %s", ErrNoSegment, part.ID())
	}
	if err != nil {
		return nil, err
	}
	t.refs.Add(1)
	return &SegmentFile{File: f, Bytes: part.Bytes, table: t}, nil
}

// ReadEvicted fills p with the bytes from off on of a segment that this ledger has in the object store only, for a member
// that copies it and does not reach that store itself. ErrNoSegment when it has no such segment, or has its file; a
// *ColdError when the store did not give the bytes.
func (l *Ledger) ReadEvicted(ctx context.Context, part SegmentPart, off uint64, p []byte) error {
	v, err := l.acquire()
	if err != nil {
		return err
	}
	defer v.release()
	g, ok := v.state.Segment(part.FirstSeq)
	if ok {
		ok = partOf(g) == part && v.tableOf(part.FirstSeq).cold()
	}
	if n := uint64(len(p)); !ok || off > part.Bytes || n > part.Bytes-off {
		return fmt.Errorf("%w: %s, %d bytes from %d on", ErrNoSegment, part.ID(), n, off)
	}
	g.Object = v.tableOf(part.FirstSeq).object
	ctx, cancel := l.whileOpen(ctx)
	defer cancel()
	r, err := l.opts.Cold.Fetch(ctx, g.Object, off, uint64(len(p)))
	if err == nil {
		_, err = io.ReadFull(r, p)
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		return &ColdError{Segment: part.ID(), Object: g.Object.Name, Err: err}
	}
	return nil
}

// Held is a state that another member copies: the files of its segments stay, also when they are merged meanwhile,
// until Release.
type Held struct {
	l     *Ledger
	state *manifest.State
	refs  []*table
}

// Hold holds the state that the manifest on disk holds. ErrRebuilding while there is none.
func (l *Ledger) Hold() (*Held, error) {
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	defer v.release() // with it the memtables: what is held may be held for long
	for _, t := range v.tables {
		t.refs.Add(1)
	}
	return &Held{l: l, state: v.state, refs: v.tables}, nil
}

// Snapshot is Ledger.Snapshot of the state held.
func (h *Held) Snapshot() (encoded []byte, index uint64) {
	return h.state.Encode(), h.state.AppliedIndex
}

// OpenSegment is Ledger.OpenSegment of the state held.
func (h *Held) OpenSegment(part SegmentPart) (*SegmentFile, error) {
	i := slices.IndexFunc(h.state.Segments, func(s manifest.Segment) bool { return partOf(s) == part })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoSegment, part.ID())
	}
	return h.l.openSegmentFile(part, h.refs[i])
}

// Release lets the files go. It is called once.
func (h *Held) Release() { releaseAll(h.refs) }
