package node

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// An upload goes in this order, and each step comes only after the one before it has gone well:
//
//	the file here is read whole, against its checksums and the root → it is put, if absent, under its SHA-256 → the object is read
//	back whole → the log is asked to record it, again and again until it has → any node may give up its file (tierevict.go)
//
// Whoever leads after a leader that has ended in the middle begins with the first step and finds the object there.

// upload is what becomes of one segment on its way. The fields are guarded by tiering.mu, but for the first two and,
// once it is done, the object, which do not change.
type upload struct {
	segment manifest.Segment
	name    string // of the object
	object  manifest.Object
	cancel  context.CancelFunc // while it is under way
	done    bool               // verified, and to be recorded
	pause
}

// due says whether a segment is old enough to be uploaded, or somebody waits for it.
func (t *tiering) due(g *manifest.Segment, now time.Time) bool {
	return !now.Before(time.UnixMicro(g.LastTime).Add(t.opts.MinAge)) || g.LastSeq < t.forced()
}

func (t *tiering) nextUpload(now time.Time) *tierWork {
	if !t.leads() {
		t.stopUploads()
		return nil
	}
	if !t.uploadsDue || t.busy[jobUpload] >= t.opts.Uploads || now.Before(t.paused.until) {
		return nil
	}
	some := false
	for _, g := range t.n.ledger.Untiered() {
		if !t.due(&g, now) {
			continue
		}
		some = true
		name := tier.SegmentName(g.FirstSeq, g.LastSeq, g.Root)
		u := t.uploads[name]
		if u == nil {
			u = &upload{segment: g, name: name}
			t.uploads[name] = u
		}
		if u.done || u.cancel != nil || now.Before(u.until) {
			continue
		}
		ctx, cancel := context.WithCancel(t.ctx)
		u.cancel = cancel
		return &tierWork{jobUpload, func(context.Context) { t.upload(ctx, u) }}
	}
	t.uploadsDue = false
	if !some {
		t.met(jobUpload, nil)
	}
	return nil
}

// stopUploads ends what this node has begun as a leader: another one does it now. What is verified stays so: no sweep
// deletes the object of a segment that is recorded.
func (t *tiering) stopUploads() {
	for _, u := range t.uploads {
		if u.cancel != nil {
			u.cancel()
		}
	}
}

// upload makes one attempt, of as many tries as the uploader makes.
func (t *tiering) upload(ctx context.Context, u *upload) {
	o, made, err := t.put(ctx, &u.segment)
	t.mu.Lock()
	defer t.mu.Unlock()
	ended := ctx.Err() != nil // this node leads no more, or is being closed
	u.cancel()
	u.cancel = nil
	now := t.n.opts.Now()
	id := tlog.SegmentID(u.segment.FirstSeq, u.segment.LastSeq)
	var corrupt *vfs.CorruptError
	switch {
	case t.lost != "": // the archive is another's now, and so is what came of it
		delete(t.uploads, u.name)
	case err == nil:
		t.met(jobUpload, nil)
		u.object, u.done = recordedObject(o), true
		t.paused, u.pause = pause{}, pause{}
		t.noteVerified()
		t.metrics.uploads.Inc()
		t.metrics.uploadedBytes.Add(float64(o.Bytes))
		t.n.opts.Logger.Info("segment uploaded and read back", "segment", id, "object", o.Name, "bytes", o.Bytes,
			"made", made)
		t.n.poke(t.n.wake)
	case errors.Is(err, ledger.ErrNoSegment): // merged meanwhile
		delete(t.uploads, u.name)
	case ended:
	case errors.As(err, &corrupt): // of the file here, or of what stands in the object's place: no affair of the others
		d := u.failed(now, err, t.rand.Float64())
		t.failures++
		t.met(jobUpload, err)
		t.n.opts.Logger.Error("a segment cannot be uploaded", "segment", id, "error", err, "retry_in", d)
	default:
		d := t.paused.failed(now, err, t.rand.Float64())
		t.failures++
		t.met(jobUpload, err)
		t.n.opts.Logger.Warn("an upload failed; the segment stays here, and it is tried again", "segment", id, "error", err,
			"retry_in", d)
	}
	t.uploadsDue = true
}

// put uploads a segment's file as it is here.
func (t *tiering) put(ctx context.Context, g *manifest.Segment) (o tier.SealedObject, made bool, err error) {
	file, err := t.n.ledger.OpenSegment(ledger.SegmentPart{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq, Root: g.Root,
		Bytes: g.Bytes})
	if err != nil {
		return o, false, err
	}
	defer file.Close()
	src, err := segfile.NewFileSource(file.Name(), file.File)
	if err != nil {
		return o, false, err
	}
	sum, metaOffset, err := hashSegment(ctx, src, g)
	if err != nil {
		t.n.segmentDamaged(err) // if that is what it is: peers have the segment too
		return o, false, fmt.Errorf("verify the file: %w", err)
	}
	return t.uploader.Upload(ctx, tier.SegmentFile{
		SegmentMetadata: tier.SegmentMetadata{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq, Entries: g.Entries, Root: g.Root,
			MetaOffset: int64(metaOffset), MinKey: g.MinKey, MaxKey: g.MaxKey},
		Bytes: file, Size: src.Size(), SHA256: &sum})
}

// hashSegment reads a segment's file for its SHA-256, and on the way holds every byte against its checksum; then the leaf
// hashes against the root. It says where the meta tail begins. That the entries are those of the leaves was seen to when
// the file was built, and is by the scrubber: to do it here would take longer than the upload.
func hashSegment(ctx context.Context, src segfile.Source, g *manifest.Segment) (sum [sha256.Size]byte, metaOffset uint64,
	err error) {
	file, err := segfile.Open(src)
	if err != nil {
		return sum, 0, err
	}
	h := sha256.New()
	if err := file.CopyTo(&whileAlive{ctx, h}); err != nil {
		return sum, 0, err
	}
	table, err := openSegment(src, g)
	if err != nil {
		return sum, 0, err
	}
	return [sha256.Size]byte(h.Sum(nil)), table.MetaOffset(), table.VerifyMeta(ctx)
}

// whileAlive writes until its context ends.
type whileAlive struct {
	ctx context.Context
	w   io.Writer
}

func (w *whileAlive) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

// openSegment opens a segment and holds it against what is recorded of it.
func openSegment(src segfile.Source, g *manifest.Segment) (*sstable.Table, error) {
	expect := sstable.Info{ID: tlog.SegmentID(g.FirstSeq, g.LastSeq), FirstSeq: g.FirstSeq, LastSeq: g.LastSeq,
		Entries: g.Entries, Root: g.Root, MinKey: g.MinKey, MaxKey: g.MaxKey, FirstTime: g.FirstTime, LastTime: g.LastTime}
	return sstable.Open(src, sstable.Options{Expect: &expect, ResidentBytes: -1})
}

// checkOther says whether an object that another file of a segment has become is that segment, from its bytes.
func (t *tiering) checkOther(ctx context.Context, o tier.SealedObject, _ tier.SegmentMetadata) error {
	t.mu.Lock()
	u := t.uploads[o.Name]
	t.mu.Unlock()
	if u == nil {
		return fmt.Errorf("%s is not being uploaded", o.Name)
	}
	src, err := t.opts.Ranges.Open(o, nil)
	if err != nil {
		return err
	}
	metaOffset, err := verifySegment(ctx, src.Uncached(), &u.segment)
	if err == nil && metaOffset != uint64(o.MetaOffset) {
		err = &vfs.CorruptError{File: src.Name(), Offset: int64(metaOffset),
			Reason: fmt.Sprintf("the object says of itself that its meta tail begins at %d", o.MetaOffset)}
	}
	return err
}

// verifySegment reads all of a segment and holds it against what is recorded of it. It says where the meta tail begins.
func verifySegment(ctx context.Context, src segfile.Source, g *manifest.Segment) (metaOffset uint64, err error) {
	table, err := openSegment(src, g)
	if err != nil {
		return 0, err
	}
	return table.MetaOffset(), table.Verify(ctx, nil)
}

// settleUploads forgets the uploads that the log has recorded, and those of segments that are no more.
func (t *tiering) settleUploads() {
	forgotten := false
	for name, u := range t.uploads {
		if u.cancel == nil && !t.n.ledger.LacksObject(&u.segment) {
			delete(t.uploads, name)
			forgotten = true
		}
	}
	if forgotten {
		t.noteVerified()
	}
}

// noteVerified tells the raft loop what is to be recorded.
func (t *tiering) noteVerified() {
	var list []*upload
	for _, u := range t.uploads {
		if u.done {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b *upload) int { return cmp.Compare(a.segment.FirstSeq, b.segment.FirstSeq) })
	t.verified.Store(&list)
}

// tieredWants are the objects that the log is to record. For the raft loop of a leader.
func (n *Node) tieredWants() (wants []ledger.Want) {
	if n.tiering == nil {
		return nil
	}
	list := n.tiering.verified.Load()
	if list == nil {
		return nil
	}
	for _, u := range *list {
		if n.ledger.LacksObject(&u.segment) {
			wants = append(wants, ledger.TieredWant(u.segment, u.object))
		}
	}
	return wants
}
