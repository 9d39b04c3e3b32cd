package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// SegmentPart names a segment's file among the members of a cluster: what it holds, and how many bytes this one has.
// Members may write one segment into files that differ, with other block sizes and compression.
type SegmentPart struct {
	FirstSeq, LastSeq uint64
	Root              merkle.Hash
	Bytes             uint64
}

// ID is the id of the segment.
func (p SegmentPart) ID() string { return tlog.SegmentID(p.FirstSeq, p.LastSeq) }

func partOf(s manifest.Segment) SegmentPart {
	return SegmentPart{FirstSeq: s.FirstSeq, LastSeq: s.LastSeq, Root: s.Root, Bytes: s.Bytes}
}

// StageOptions say how a state is staged.
type StageOptions struct {
	// Doubt names segments of the current state, by id, whose files are not trusted: they are read whole first. The files
	// of other segments that the current state lists are taken as they are. Under Options.Rebuild it lists none. Of a
	// segment that is in the object store only it is the object that is not trusted: its file is to come from a member.
	Doubt map[string]bool
	// SyncBytes is how much of a file is written between two syncs: a power cut costs less than twice as much. Default 512 KiB.
	SyncBytes uint64
	// Adopt takes segments that have objects from the store, whether the giver has their files or not: only their meta tails
	// come. Without it, only those are taken so of which the giver has no file.
	Adopt bool
	// LocalBytes, if it is not 0, is what the files of segments may take together: of those that have objects, the oldest
	// are taken from the store, as with Adopt, until the others fit. Keep excepts segments from that; nil none. A file that
	// is here is used all the same.
	LocalBytes uint64
	Keep       func(*manifest.Segment) bool
}

// Staging is the state of another member on its way into this ledger: which of its segments are here, and what has come
// of the others. It is for one goroutine at a time. It changes nothing of the ledger; Ledger.Install does.
//
// Use: Examine until it is done, WriteAt and Finish for each of Missing, Prepare, and then Install or Close. What was
// written outlives Close, and the process: a later Staging goes on with it.
type Staging struct {
	l     *Ledger
	opts  StageOptions
	state *manifest.State // as it came
	parts []*stagedPart
	cold  map[uint64]bool // the first seqs of parts to be taken up over their objects, by LocalBytes
	next  int             // parts below are examined
	read  uint64          // bytes of files that Examine has read whole
	ready *assembled

	encoded []byte // of ready
}

// stagedPart is one segment of the state.
type stagedPart struct {
	want   manifest.Segment
	table  *table // open, once the segment is here
	moves  bool   // its file stands in the incoming directory
	file   *incomingFile
	object *incomingFile // its object, once FetchObject has been called
	pin    string        // the id under which its file is kept in its place
}

// Stage begins with the state of another member, encoded as by Snapshot. An error says that it is no state for this
// ledger: damaged, or another cluster's.
func (l *Ledger) Stage(encoded []byte, opts StageOptions) (*Staging, error) {
	if opts.SyncBytes == 0 {
		opts.SyncBytes = 512 << 10
	}
	if len(encoded) > MaxSnapshotBytes {
		return nil, fmt.Errorf("ledger: a snapshot of %d bytes, at most %d are taken", len(encoded), MaxSnapshotBytes)
	}
	state, err := manifest.Decode(encoded)
	if err != nil {
		return nil, fmt.Errorf("ledger: snapshot: %w", err)
	}
	if state.ClusterID != l.opts.ClusterID {
		return nil, fmt.Errorf("ledger: snapshot: it belongs to cluster %.64q, this node to %s", state.ClusterID,
			l.opts.ClusterID)
	}
	if err := l.opts.FS.MkdirAll(l.incomingDir()); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	state = withRecorded(state)
	return &Staging{l: l, opts: opts, state: state, parts: l.partsOf(state, opts.Doubt),
		cold: coldParts(state.Segments, opts)}, nil
}

// SealPoint is the raft position, and the membership, that the state stands for.
func (s *Staging) SealPoint() (index, term uint64, members []byte) {
	return s.state.AppliedIndex, s.state.AppliedTerm, s.state.Members
}

// Examine looks whether the next segment is here, and says when all were looked at. A file that is in doubt, or that the
// current state does not list, is read whole.
func (s *Staging) Examine() (done bool, err error) {
	if s.next == len(s.parts) {
		return true, nil
	}
	p := s.parts[s.next]
	if err := s.find(p); err != nil {
		return false, err
	}
	s.next++
	if s.next < len(s.parts) {
		return false, nil
	}
	return true, s.clearIncoming()
}

// find looks for a segment: open in this ledger, among its segments, come whole before, or come in part.
func (s *Staging) find(p *stagedPart) error {
	if p.table != nil {
		return nil
	}
	id := tlog.SegmentID(p.want.FirstSeq, p.want.LastSeq)
	if p.pin == "" { // before it is looked for: a file that was merged may go any time
		p.pin = id
		s.l.pin(id)
	}
	if !s.opts.Doubt[id] {
		if p.table = s.l.borrow(p.want); p.table != nil {
			return nil
		}
	}
	for _, place := range []struct {
		name  string
		moves bool
	}{{s.l.segmentFile(id), false}, {s.l.incomingFile(id), true}} {
		t, err := s.l.openVerified(place.name, p.want)
		if err == nil {
			s.read += t.Info().Bytes
			p.table, p.moves = t, place.moves
			return nil
		}
		var corrupt *vfs.CorruptError
		if !errors.As(err, &corrupt) {
			return err
		}
		if _, serr := s.l.opts.FS.Stat(place.name); !errors.Is(serr, fs.ErrNotExist) {
			s.l.opts.Logger.Warn("a segment's file here is not what the snapshot lists; it is fetched", "error", err)
		}
	}
	if s.adopts(p) {
		if done, err := s.adopt(p, id); done || err != nil {
			return err
		}
	}
	var err error
	p.file, err = s.l.openIncoming(partOf(p.want), s.opts.SyncBytes)
	return err
}

// adopts says whether a part is to be taken up over its object.
func (s *Staging) adopts(p *stagedPart) bool {
	if s.distrusts(p) {
		return false
	}
	return p.want.Tier == manifest.Cold || p.want.Object.Exists() && (s.opts.Adopt || s.cold[p.want.FirstSeq])
}

// adopt takes a segment up over its object: with the meta tail that is here, or else from the store. When the store does not
// give it, the segment is looked for among the members, of which some may have its file.
func (s *Staging) adopt(p *stagedPart, id string) (done bool, err error) {
	if s.l.opts.Cold == nil {
		return false, nil
	}
	places := [...]string{s.l.metaFile(id), s.l.incomingMeta(id)}
	for i, name := range places {
		t, err := s.l.openCold(name, p.want)
		if err == nil {
			if err = t.VerifyMeta(context.Background()); err == nil {
				p.table, p.moves = t, i > 0
				break
			}
			t.release()
		}
		if corrupt := (*vfs.CorruptError)(nil); !errors.As(err, &corrupt) && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	if p.table == nil {
		t, err := s.l.fetchMeta(context.Background(), s.l.incomingMeta(id), p.want)
		if cold := (*ColdError)(nil); errors.As(err, &cold) {
			s.l.opts.Logger.Warn("a segment's meta tail cannot be had from the object store; its file is looked for", "error", err)
			return false, nil
		}
		if err != nil {
			return false, err
		}
		p.table, p.moves = t, true
	}
	return true, sameInfo(p.table.object.Name, p.table.Info(), infoOf(p.want))
}

// BytesRead is how many bytes of files Examine has read whole so far, which its caller may want to bound.
func (s *Staging) BytesRead() uint64 { return s.read }

// borrow returns the open table of a segment that the current state lists too, with a reference of its own; else nil.
func (l *Ledger) borrow(want manifest.Segment) *table {
	v, err := l.acquire()
	if err != nil {
		return nil
	}
	defer v.release()
	t := v.tableOf(want.FirstSeq)
	if t == nil || t.first != want.FirstSeq || t.last != want.LastSeq || t.Info().Root != want.Root {
		return nil
	}
	t.refs.Add(1)
	return t
}

// openVerified opens a segment's file after reading all of it. Damage, and a file that holds something else or is not
// there, is a *vfs.CorruptError.
func (l *Ledger) openVerified(name string, want manifest.Segment) (*table, error) {
	expect := infoOf(want)
	expect.Bytes = 0 // this file may be another member's, or this one's of another configuration
	t, err := l.openTable(name, expect)
	if err != nil {
		return nil, err
	}
	err = t.Verify(context.Background(), nil)
	if err == nil {
		err = sameInfo(name, t.Info(), infoOf(want))
	}
	if err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

// sameInfo compares what the root does not cover: a snapshot that lies about it would mislead searches.
func sameInfo(name string, own, want sstable.Info) error {
	own.Bytes, want.Bytes = 0, 0
	if fmt.Sprint(own) != fmt.Sprint(want) {
		return &vfs.CorruptError{File: name, Reason: fmt.Sprintf("the segment is %+v, the snapshot says %+v", own, want)}
	}
	return nil
}

// Missing returns what has to come from elsewhere, by ascending seq: of the examined segments those that are not here.
func (s *Staging) Missing() []SegmentPart {
	var out []SegmentPart
	for _, p := range s.parts[:s.next] {
		if p.table == nil {
			out = append(out, partOf(p.want))
		}
	}
	return out
}

// Doubted returns StageOptions.Doubt.
func (s *Staging) Doubted() map[string]bool { return s.opts.Doubt }

// Offset is how many bytes of a missing part are here.
func (s *Staging) Offset(part SegmentPart) uint64 {
	if p := s.missing(part); p != nil {
		return p.file.offset
	}
	return 0
}

// Append adds bytes of a missing part behind those that are here.
func (s *Staging) Append(part SegmentPart, data []byte) error {
	p := s.missing(part)
	if p == nil || uint64(len(data)) > part.Bytes-p.file.offset {
		return fmt.Errorf("ledger: %d bytes that segment %s does not lack", len(data), part.ID())
	}
	return p.file.append(data)
}

// Finish verifies a part that has come whole. When it is damaged, a *vfs.CorruptError, it is dropped, to come anew.
func (s *Staging) Finish(part SegmentPart) error {
	p := s.missing(part)
	if p == nil || p.file.offset != part.Bytes {
		return fmt.Errorf("ledger: segment %s has not come whole", part.ID())
	}
	name, err := p.file.finish()
	if err != nil {
		return err
	}
	t, err := s.l.openVerified(name, p.want)
	if err != nil {
		var corrupt *vfs.CorruptError
		if errors.As(err, &corrupt) {
			return errors.Join(err, p.file.restart())
		}
		return err
	}
	if err := s.l.opts.FS.Rename(name, s.l.incomingFile(part.ID())); err != nil {
		t.release()
		return err
	}
	if err := s.l.opts.FS.SyncDir(s.l.incomingDir()); err != nil {
		t.release()
		return err
	}
	p.table, p.moves, p.file = t, true, nil
	return nil
}

func (s *Staging) missing(part SegmentPart) *stagedPart {
	i := sort.Search(s.next, func(i int) bool { return s.parts[i].want.FirstSeq >= part.FirstSeq })
	if i < s.next && s.parts[i].table == nil && partOf(s.parts[i].want) == part {
		return s.parts[i]
	}
	return nil
}

// Prepare derives the state, once nothing is missing, and writes its manifest. After it only Install or Close may follow.
// An error for which vfs.IsNoSpace holds leaves all as it is; any other says that the state does not fit together.
func (s *Staging) Prepare() error {
	if s.next < len(s.parts) || len(s.Missing()) > 0 || s.ready != nil {
		return errors.New("ledger: the snapshot is not complete")
	}
	own := *s.state
	own.Segments = make([]manifest.Segment, len(s.parts))
	tables := make([]*table, len(s.parts))
	for i, p := range s.parts {
		own.Segments[i] = p.want
		tables[i] = p.table
		p.table.refs.Add(1)
	}
	own = *placed(&own, tables)
	ready, err := s.l.assemble(&own, tables)
	if err != nil {
		return fmt.Errorf("ledger: snapshot: %w", err)
	}
	// Written now, so that Install, which cannot wait for it, needs no space.
	s.encoded = own.Encode()
	if err := vfs.WriteFileAtomic(s.l.opts.FS, s.l.incomingDir(), manifestName, s.encoded); err != nil {
		ready.view.release()
		return fmt.Errorf("ledger: snapshot: %w", err)
	}
	s.ready = ready
	return nil
}

// Close lets go of what was not installed. What came stays on disk.
func (s *Staging) Close() {
	for _, p := range s.parts {
		if p.table != nil {
			p.table.release()
		}
		if p.file != nil {
			p.file.close()
		}
		if p.object != nil {
			p.object.close()
		}
		if p.pin != "" {
			s.l.unpin(p.pin)
		}
	}
	if s.ready != nil {
		s.ready.view.release()
	}
	s.parts, s.ready, s.next = nil, nil, 0
}

// clearIncoming takes away what came for another snapshot.
func (s *Staging) clearIncoming() error {
	keep := map[string]bool{}
	for _, p := range s.parts {
		if p.moves {
			keep[path.Base(s.l.fileOf(p.table))] = true
		}
		if p.file != nil {
			keep[path.Base(p.file.name)] = true
			keep[path.Base(s.l.stagedObject(p.want))] = true // an object may have come in part before
		}
	}
	names, err := s.l.opts.FS.List(s.l.incomingDir())
	if err != nil {
		return err
	}
	for _, name := range names {
		if !keep[name] && !s.l.isComing(name) {
			if err := s.l.opts.FS.Remove(path.Join(s.l.incomingDir(), name)); err != nil {
				return err
			}
		}
	}
	return nil
}
