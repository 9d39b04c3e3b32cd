package ledger

import (
	"fmt"

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

// SegmentFile is the file of a segment, as another member may copy it. It stays readable when the segment is replaced.
type SegmentFile struct {
	vfs.File
	Bytes uint64
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
	f, err := l.opts.FS.Open(l.segmentFile(part.ID()))
	if err != nil {
		return nil, err
	}
	return &SegmentFile{File: f, Bytes: s.Bytes}, nil
}
