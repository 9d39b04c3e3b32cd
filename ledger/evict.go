package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// Giving up the file of a segment that has an object goes in this order, and each step is durable before the next:
//
//	the log says that there is an object → the manifest here lists it → its meta tail is here, verified against the root
//	  → readers go to the object → the file goes with its last reader
//
// After a crash at any point Open finds the file, or the object in the manifest with the meta tail beside it. What is left
// over of a half-done eviction Open removes, and Evict begins anew. Coming back goes the other way: the whole object is
// here, verified → readers go to the file → the meta tail goes.

// Evict gives up the file of a segment that has an object. It returns nil when that is done, or nothing is left to do;
// ErrNoSegment, ErrNoObject or ErrNoCold when it cannot be done; a *ColdError when the store gave no meta tail that
// belongs to the segment, in which case the file stays. For any goroutine; one segment at a time goes.
func (l *Ledger) Evict(ctx context.Context, id string) error {
	defer l.move(id)()
	g, t, err := l.listObject(id, manifest.Object{})
	if err != nil || t.cold() {
		return err
	}
	meta, err := l.fetchMeta(ctx, l.metaFile(id), g)
	if err != nil {
		return fmt.Errorf("evict segment %s: %w", id, err)
	}
	defer meta.release() // the views have their own
	if err := l.exchange(t, meta, ""); err != nil {
		return fmt.Errorf("evict segment %s: %w", id, err)
	}
	l.metrics.evictions.Inc()
	l.opts.Logger.Info("segment evicted: its object is read from now on", "segment", id, "object", g.Object.Name)
	return nil
}

// Fetch brings the file of a segment back that was evicted. It returns nil when that is done, or the file never went. What
// has come of the object outlives an error, and the process: the next call goes on with it. For any goroutine; one
// segment at a time comes.
func (l *Ledger) Fetch(ctx context.Context, id string) error {
	defer l.move(id)()
	g, t, err := l.coldOf(id)
	if t == nil {
		return err
	}
	whole, name, err := l.fetchWhole(ctx, g, nil, func(int) {})
	if err != nil {
		return fmt.Errorf("fetch segment %s: %w", id, err)
	}
	defer whole.release()
	if err := l.exchange(t, whole, name); err != nil {
		return fmt.Errorf("fetch segment %s: %w", id, err)
	}
	l.metrics.fetches.Inc()
	l.opts.Logger.Info("segment fetched: its file is here again", "segment", id, "object", g.Object.Name)
	return nil
}

// RenewMeta fetches the meta tail of an evicted segment anew, for whoever has found it damaged (a *ColdError whose cause is
// a *vfs.CorruptError behind the object's meta offset).
func (l *Ledger) RenewMeta(ctx context.Context, id string) error {
	defer l.move(id)()
	g, t, err := l.coldOf(id)
	if t == nil {
		return err
	}
	meta, err := l.fetchMeta(ctx, l.metaFile(id), g)
	if err != nil {
		return fmt.Errorf("renew the meta tail of segment %s: %w", id, err)
	}
	defer meta.release()
	return l.exchange(t, meta, "")
}

// move begins to take a segment from one tier to another: no other goes or comes meanwhile, and what has come of this one,
// which is of use to nobody else yet, is not swept. The caller calls done behind it.
func (l *Ledger) move(id string) (done func()) {
	l.moving.Lock()
	l.pin(id)
	return func() {
		l.unpin(id)
		l.moving.Unlock()
	}
}

// coldOf returns a segment that is evicted, with the object that it is read from, and its table; nil when its file is here.
func (l *Ledger) coldOf(id string) (manifest.Segment, *table, error) {
	g, t, err := l.tableOf(id)
	if err != nil || !t.cold() {
		return g, nil, err
	}
	g.Object = t.object
	return g, t, nil
}

// tableOf returns a listed segment and its table, without a reference; ErrNoSegment when it is not listed.
func (l *Ledger) tableOf(id string) (manifest.Segment, *table, error) {
	if l.opts.Cold == nil {
		return manifest.Segment{}, nil, ErrNoCold
	}
	first, last, err := tlog.ParseSegmentID(id)
	if err != nil {
		return manifest.Segment{}, nil, fmt.Errorf("%w: %.80q", ErrNoSegment, id)
	}
	v, err := l.acquire()
	if err != nil {
		return manifest.Segment{}, nil, err
	}
	defer v.release()
	g, ok := v.state.Segment(first)
	if !ok || g.FirstSeq != first || g.LastSeq != last {
		return g, nil, fmt.Errorf("%w: %s", ErrNoSegment, id)
	}
	return g, v.tableOf(first), nil
}

// listObject has the manifest on disk list the object of a segment, and with it all that are known: it is written once
// for many evictions. verified is an object that the caller has read whole, for when the log has recorded it and then a merge of
// the segment, and so knows it no more.
func (l *Ledger) listObject(id string, verified manifest.Object) (manifest.Segment, *table, error) {
	l.flushes.Lock()
	defer l.flushes.Unlock()
	g, t, err := l.tableOf(id)
	if err != nil || g.Object.Exists() {
		return g, t, err
	}
	state := l.peek().state
	for _, r := range l.Objects() {
		if s, ok := state.Segment(r.FirstSeq); !ok || s.FirstSeq != r.FirstSeq || s.LastSeq != r.LastSeq ||
			s.Root != r.Root || s.Object.Exists() {
			continue
		} else if state, err = state.WithObject(s.FirstSeq, s.LastSeq, r.Root, r.Object, manifest.Both, s.Bytes); err != nil {
			return g, nil, err
		}
	}
	if g, _ = state.Segment(g.FirstSeq); !g.Object.Exists() && verified.Exists() {
		if state, err = state.WithObject(g.FirstSeq, g.LastSeq, g.Root, verified, manifest.Both, g.Bytes); err != nil {
			return g, nil, err
		}
		g, _ = state.Segment(g.FirstSeq)
	}
	if !g.Object.Exists() {
		return g, nil, fmt.Errorf("%w: %s", ErrNoObject, id)
	}
	if err := vfs.WriteFileAtomic(l.opts.FS, l.opts.Dir, manifestName, state.Encode()); err != nil {
		return g, nil, fmt.Errorf("list the object of segment %s: write the manifest: %w", id, err)
	}
	l.swap(func(v *view) { v.state = state })
	return g, t, nil
}

// exchange has readers go to another table of the same segment; what the one before stood on goes with its last reader. The
// file of the new one takes its place if it comes from elsewhere. The manifest on disk, which lists the object, is good for
// both, and is not written.
func (l *Ledger) exchange(old, now *table, from string) error {
	l.flushes.Lock()
	defer l.flushes.Unlock()
	v, err := l.acquire()
	if err != nil {
		return err
	}
	defer v.release()
	id := tlog.SegmentID(old.first, old.last)
	i := slices.Index(v.tables, old)
	if i < 0 { // merged meanwhile, or another state has come
		l.bury(id)
		return fmt.Errorf("%w any more: %s", ErrNoSegment, id)
	}
	tier, g := manifest.Cold, v.state.Segments[i]
	object := now.object
	if !now.cold() {
		tier, object = manifest.Both, g.Object
		err := l.opts.FS.Rename(from, l.segmentFile(id))
		if err == nil {
			err = l.opts.FS.SyncDir(l.segmentDir())
		}
		if err == nil { // else a later Fetch could go on with it under its old name, while readers look at it
			err = l.opts.FS.SyncDir(l.incomingDir())
		}
		if err != nil {
			return err
		}
	}
	state, err := v.state.WithObject(g.FirstSeq, g.LastSeq, g.Root, object, tier, now.Info().Bytes)
	if err != nil {
		return err
	}
	l.doom(old)
	l.swap(func(v *view) {
		v.state = state
		v.tables = slices.Clone(v.tables)
		v.tables[i] = now
	})
	l.notify()
	return nil
}

// objectPart is the suffix of an object that is coming back. Its name says which one, so that a later call goes on.
const objectPart = ".object" + partialSuffix

// fetchWhole brings the object of a segment into a file, durably, and verifies all of it: behind the download, or, where
// meta is the meta tail that is here, beside it. come is told of bytes that are here: first of those that had come before.
func (l *Ledger) fetchWhole(ctx context.Context, g manifest.Segment, meta vfs.File, come func(int)) (t *table, name string,
	err error) {
	if err := l.opts.FS.MkdirAll(l.incomingDir()); err != nil {
		return nil, "", err
	}
	id := infoOf(g).ID
	f := &incomingFile{fs: l.opts.FS, dir: l.incomingDir(), syncBytes: fetchSyncBytes}
	f.name = path.Join(f.dir, fmt.Sprintf("%s-%x%s", id, g.Object.SHA256[:8], objectPart))
	if err := f.resume(g.Object.Bytes); err != nil {
		return nil, "", err
	}
	defer f.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.closing, cancel)()
	come(int(f.offset))
	beside := l.verifyEarly(ctx, meta, g, f.name)
	err = l.pour(ctx, g, f.offset, func(p []byte) (int, error) {
		err := f.append(p)
		if err == nil {
			come(len(p))
			beside.reached(f.offset)
		}
		return len(p), err
	})
	if err == nil {
		name, err = f.finish()
	}
	if err != nil {
		cancel() // also what verifies
		beside.end(err)
		return nil, "", err
	}
	good := beside.end(io.ErrUnexpectedEOF)
	if good {
		expect := infoOf(g)
		expect.Bytes = 0 // as in openVerified
		t, err = l.openTable(name, expect)
	} else {
		t, err = l.openVerified(name, g)
	}
	if err != nil { // what came is not the segment: it comes anew
		return nil, "", errors.Join(&ColdError{Segment: id, Object: g.Object.Name, Err: err}, f.restart())
	}
	return t, name, nil
}

// isComing says whether a file among what comes is of an object that Fetch is bringing at this moment.
func (l *Ledger) isComing(name string) bool {
	id, ok := strings.CutSuffix(name, objectPart)
	return ok && len(id) > 17 && l.pinned(id[:len(id)-17])
}

// fetchSyncBytes is how much of an object that comes back is written between two syncs: what a process that dies has to
// fetch again at most.
const fetchSyncBytes = 16 << 20

// removeMetas takes away, when the ledger is opened, the meta tails that no table stands on: of segments whose files are
// here, or that are not listed.
func (l *Ledger) removeMetas(tables []*table) error {
	needed := map[string]bool{}
	for _, t := range tables {
		if t.cold() {
			needed[path.Base(l.metaFile(t.Info().ID))] = true
		}
	}
	names, err := l.opts.FS.List(l.segmentDir())
	if err != nil {
		return err
	}
	for _, name := range names {
		if path.Ext(name) == metaSuffix && !needed[name] {
			if err := l.opts.FS.Remove(path.Join(l.segmentDir(), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// adoptMerged takes up a merge that the log has recorded, with its object, in the place of building it out of inputs of
// which some would have to be read from the store as well, or may be gone from it.
func (l *Ledger) adoptMerged(r manifest.Recorded, inputs []*table) (done bool, err error) {
	if !r.Object.Exists() || !slices.ContainsFunc(inputs, (*table).cold) {
		return false, nil
	}
	id := tlog.SegmentID(r.FirstSeq, r.LastSeq)
	g := manifest.Segment{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq, Entries: r.LastSeq - r.FirstSeq + 1, Root: r.Root,
		Object: r.Object}
	t, err := l.fetchMeta(context.Background(), l.metaFile(id), g)
	if err != nil {
		return true, err
	}
	span := manifest.Range{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq}
	l.flushes.Lock()
	defer l.flushes.Unlock()
	if !l.stillWanted(span, inputs) {
		t.release()
		return true, nil
	}
	l.addMerged(&merged{span: span, table: t, info: t.Info()})
	l.opts.Logger.Info("merged segment taken from the object store", "segment", id, "object", r.Object.Name)
	return true, nil
}

// segmentIn is what the manifest says of a segment that a table is of.
func segmentIn(t *table, info sstable.Info) manifest.Segment {
	g := segmentOf(info)
	if t.cold() {
		g.Tier, g.Object = manifest.Cold, t.object
	}
	return g
}
