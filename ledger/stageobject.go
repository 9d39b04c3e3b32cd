package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/vfs"
)

// A part of a staging that has an object need not come from a member: the object store has it. It comes piece by piece,
// as from a member, but into a file of its own: the object may be another file of the segment than the members have.

// stagedObject is the suffix of an object that is coming for a staging. Those of Fetch have another name: both may be
// under way at once.
const stagedObject = ".staged" + partialSuffix

func (l *Ledger) stagedObject(g manifest.Segment) string {
	return path.Join(l.incomingDir(), fmt.Sprintf("%s-%x%s", infoOf(g).ID, g.Object.SHA256[:8], stagedObject))
}

// withRecorded returns a state whose segments have the objects that the log had recorded at its seal point: the manifest of
// a member that has evicted nothing need not list them.
func withRecorded(state *manifest.State) *manifest.State {
	out := *state
	out.Segments = slices.Clone(state.Segments)
	p := partitionOf(&state.SealPoint)
	for i := range out.Segments {
		g := &out.Segments[i]
		r, ok := p.is(manifest.Range{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq})
		if ok && r.Root == g.Root && r.Object.Exists() && !g.Object.Exists() {
			g.Object = r.Object
		}
	}
	return &out
}

// HasObject says whether FetchObject may bring a missing part.
func (s *Staging) HasObject(part SegmentPart) bool {
	p := s.missing(part)
	return p != nil && p.want.Object.Exists() && s.l.opts.Cold != nil && !s.distrusts(p)
}

// IsCold says of a missing part that neither whose state this is nor this member had its file: with StageOptions.Doubt,
// its object is what is not trusted.
func (s *Staging) IsCold(part SegmentPart) bool {
	p := s.missing(part)
	return p != nil && p.want.Tier == manifest.Cold
}

// distrusts says whether a part is wanted because its object is damaged.
func (s *Staging) distrusts(p *stagedPart) bool {
	return p.want.Tier == manifest.Cold && s.opts.Doubt[infoOf(p.want).ID]
}

// FetchObject brings at most n more bytes of the object of a missing part, and says when the part is no longer missing:
// all of the object is here, and was verified against the root. A *ColdError says that the store gave no bytes, or, when a
// *vfs.CorruptError is in it, that what it has is not the segment; then what came is dropped. Other errors are the disk's.
func (s *Staging) FetchObject(ctx context.Context, part SegmentPart, n uint64) (got uint64, done bool, err error) {
	p := s.missing(part)
	if p == nil || !s.HasObject(part) {
		return 0, false, fmt.Errorf("ledger: segment %s is not missing, or has no object to be fetched", part.ID())
	}
	if p.object == nil {
		f := &incomingFile{fs: s.l.opts.FS, dir: s.l.incomingDir(), name: s.l.stagedObject(p.want), syncBytes: s.opts.SyncBytes}
		if err := f.resume(p.want.Object.Bytes); err != nil {
			return 0, false, err
		}
		p.object = f
	}
	if n = min(n, p.want.Object.Bytes-p.object.offset); n > 0 {
		if err := s.l.fetchPiece(ctx, p.want, p.object, n); err != nil {
			return 0, false, err
		}
	}
	if p.object.offset < p.want.Object.Bytes {
		return n, false, nil
	}
	return n, true, s.takeObject(p)
}

// fetchPiece appends the next n bytes of an object to what is here of it.
func (l *Ledger) fetchPiece(ctx context.Context, g manifest.Segment, f *incomingFile, n uint64) error {
	ctx, cancel := l.whileOpen(ctx)
	defer cancel()
	cold := func(err error) error {
		return &ColdError{Segment: infoOf(g).ID, Object: g.Object.Name, Err: err}
	}
	r, err := l.opts.Cold.Fetch(ctx, g.Object, f.offset, n)
	if err != nil {
		var corrupt *vfs.CorruptError
		if errors.As(err, &corrupt) {
			err = errors.Join(err, f.restart())
		}
		return cold(err)
	}
	defer r.Close()
	buf := make([]byte, min(n, flushBufferBytes))
	for n > 0 {
		piece := buf[:min(n, flushBufferBytes)]
		if _, err := io.ReadFull(r, piece); err != nil {
			return cold(err)
		}
		if err := f.append(piece); err != nil {
			return err
		}
		n -= uint64(len(piece))
	}
	return nil
}

// takeObject verifies an object that has come whole, and makes its file the part's.
func (s *Staging) takeObject(p *stagedPart) error {
	id := infoOf(p.want).ID
	name, err := p.object.finish()
	if err != nil {
		return err
	}
	t, err := s.l.openVerified(name, p.want)
	if corrupt := (*vfs.CorruptError)(nil); errors.As(err, &corrupt) {
		return errors.Join(&ColdError{Segment: id, Object: p.want.Object.Name, Err: err}, p.object.restart())
	}
	if err != nil {
		return err
	}
	if err = s.l.opts.FS.Rename(name, s.l.incomingFile(id)); err == nil {
		err = s.l.opts.FS.SyncDir(s.l.incomingDir())
	}
	if err != nil {
		t.release()
		return err
	}
	if p.file != nil { // what had come of a member's file
		_ = p.file.restart() // else the next staging takes it away
		p.file = nil
	}
	p.table, p.moves, p.object = t, true, nil
	return nil
}

// coldParts says which parts of a state are to be taken up over their objects because of StageOptions.LocalBytes: the
// oldest ones that have an object, until the files of the others are no more than that.
func coldParts(segments []manifest.Segment, opts StageOptions) map[uint64]bool {
	if opts.LocalBytes == 0 {
		return nil
	}
	var local uint64
	for i := range segments {
		if segments[i].Tier != manifest.Cold {
			local += segments[i].Bytes
		}
	}
	cold := make(map[uint64]bool)
	for i := range segments {
		g := &segments[i]
		if local <= opts.LocalBytes {
			break
		}
		if g.Tier == manifest.Cold || !g.Object.Exists() || opts.Keep != nil && opts.Keep(g) {
			continue
		}
		cold[g.FirstSeq] = true
		local -= g.Bytes
	}
	return cold
}

// ListObject has the manifest on disk list the object of a segment, if the log has recorded one: what is to take the place of
// the segment's file may then have another length. ErrNoSegment, ErrNoObject or ErrNoCold when it has none.
func (l *Ledger) ListObject(id string) error {
	_, _, err := l.listObject(id, manifest.Object{})
	return err
}
