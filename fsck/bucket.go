package fsck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
)

// BucketOptions of CheckBucket. Zero fields mean the default named beside them.
type BucketOptions struct {
	Store tier.Store // what the archive is in; the caller's

	// Progress is told how many of how many bytes were looked at, by one goroutine at a time. Default nobody.
	Progress func(done, total int64)
	// WindowEntries and CacheBytes are as in Options.
	WindowEntries uint64
	CacheBytes    int64
	// Retry is how a request is repeated that failed for a reason that may pass. Default: tier.Retry's.
	Retry tier.Retry
}

// ErrNoArchive says that a bucket holds nothing of a ledger under its prefix.
var ErrNoArchive = errors.New("fsck: there is no ledger's archive")

// What to do about damage in a bucket.
const (
	doObject = "run scribe scrub while a member of the cluster has the segment: it puts the object right; else " +
		"restore the object of the same name from a copy of the bucket, or an earlier version of it: segments never change"
	doManifest = "have a cluster publish anew (scribe tier); without one, restore the object from a copy of the " +
		"bucket, or read what an older manifest names"
	doPointer  = "have a cluster publish anew (scribe tier), which writes it again"
	doIdentity = "put back the object that was there; a cluster refuses to publish into an archive that is not known " +
		"to be its own"
	doTile    = "restore it from a copy of the bucket, or delete it and have a cluster publish anew (scribe tier)"
	doForeign = "find out who put it there; delete it if it is nobody's"
	doAll     = "compare with another copy of the archive: what is here was not written by one ledger"
)

// bucketChecker is one run over a bucket.
type bucketChecker struct {
	*checker
	store tier.Store
	retry tier.Retry
	mu    sync.Mutex // guards the report and the progress while tiles are read

	seen     listing
	identity archive.Identity
	hasID    bool
	latest   archive.Latest // the zero one when it says nothing
	streams  *tileReader
	walk     *tileWalk
}

// listing is what the store says that there is. Tiles are counted only, but for partial ones: those that there must be
// are asked for by name.
type listing struct {
	objects     int
	names       map[string]int64 // of segments by their names, and of single objects
	manifests   []string         // names, by size
	checkpoints []uint64         // sizes, ascending
	partial     []merkle.Tile
	tiles       [8]uint64 // full ones, by level
	bundles     int
	newest      [8]uint64 // greatest index of a full one
	bytes       int64     // of manifests and checkpoints
}

// CheckBucket reads the archive in a bucket, all of it. Its error says that it could not be looked at at all, or is the
// context's; everything else is in the report.
func CheckBucket(ctx context.Context, opts BucketOptions) (*Report, error) {
	b := &bucketChecker{store: opts.Store, retry: opts.Retry}
	b.checker = newChecker(ctx, Options{Dir: opts.Store.Name(), Progress: opts.Progress,
		WindowEntries: opts.WindowEntries, CacheBytes: opts.CacheBytes})
	b.guard = &b.mu
	b.advice = advice{segment: doObject, manifest: doManifest, all: doAll}
	b.places = places{manifest: tier.LatestName, segments: tier.SegmentPrefix, log: tier.SegmentPrefix}
	b.report.Archive = &ArchiveState{}
	b.streams = newTileReader(b)
	defer b.streams.wait()
	if err := b.list(); err != nil {
		return nil, fmt.Errorf("fsck: list %s: %w", opts.Store.Name(), err)
	}
	if !b.holdsArchive() {
		return nil, fmt.Errorf("%w: %s", ErrNoArchive, opts.Store.Name())
	}
	for _, step := range []func() error{b.checkIdentity, b.checkPointers, b.checkManifests, b.checkCheckpoints,
		b.checkObjects, b.checkTiles, b.checkOthers, b.checkMoved} {
		if err := step(); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	r := b.report
	r.Checked.Bytes = b.done
	r.Clean = r.Damaged == 0 && r.Unread == 0
	return r, nil
}

func (b *bucketChecker) holdsArchive() bool {
	_, id := b.seen.names[tier.LedgerName]
	_, latest := b.seen.names[tier.LatestName]
	return id || latest || len(b.seen.manifests) > 0
}

// list reads the names of all objects.
func (b *bucketChecker) list() error {
	b.seen.names = make(map[string]int64)
	for after := ""; ; {
		var page tier.Page
		err := b.retry.Do(b.ctx, func(ctx context.Context) (err error) {
			page, err = b.store.List(ctx, "", after, 0)
			return err
		})
		if err != nil {
			return err
		}
		for i := range page.Objects {
			b.place(&page.Objects[i])
		}
		b.seen.objects += len(page.Objects)
		if after = page.Next; after == "" {
			b.report.Archive.Objects = b.seen.objects
			return nil
		}
	}
}

// place finds out what an object is by its name.
func (b *bucketChecker) place(o *tier.Object) {
	s := &b.seen
	switch {
	case o.Key == tier.LedgerName || o.Key == tier.LatestName || o.Key == tier.CheckpointName:
		s.names[o.Key] = o.Size
	case strings.HasPrefix(o.Key, tier.SegmentPrefix):
		if _, err := tier.ParseSegmentName(o.Key); err != nil {
			b.damage(KindForeign, o.Key, 0, "", doForeign, "no segment of a ledger has this name, and it is among them")
			return
		}
		s.names[o.Key] = o.Size
	case strings.HasPrefix(o.Key, tier.ManifestPrefix):
		if _, err := tier.ParseManifestName(o.Key); err != nil {
			b.damage(KindForeign, o.Key, 0, "", doForeign, "no manifest has this name, and it is among them")
			return
		}
		s.manifests = append(s.manifests, o.Key)
		s.bytes += o.Size
	case strings.HasPrefix(o.Key, tier.CheckpointPrefix):
		size, err := tier.ParseCheckpointName(o.Key)
		if err != nil {
			b.damage(KindForeign, o.Key, 0, "", doForeign, "no checkpoint has this name, and it is among them")
			return
		}
		s.checkpoints = append(s.checkpoints, size)
		s.bytes += o.Size
	case strings.HasPrefix(o.Key, tier.TilePrefix):
		b.placeTile(o.Key)
	case strings.HasPrefix(o.Key, tier.ScratchPrefix):
	default:
		b.notice(KindForeign, o.Key, "move it elsewhere if it is not yours to keep here", "it is not the archive's")
	}
}

func (b *bucketChecker) placeTile(key string) {
	t, err := tier.ParseTileName(key)
	switch {
	case err != nil || t.Level >= len(b.seen.tiles):
		b.damage(KindForeign, key, 0, "", doForeign, "no tile has this name, and it is among them")
	case t.Level == merkle.EntryBundle:
		b.seen.bundles++
	case t.Width < merkle.TileWidth:
		b.seen.partial = append(b.seen.partial, t)
	default:
		b.seen.tiles[t.Level]++
		b.seen.newest[t.Level] = max(b.seen.newest[t.Level], t.Index)
	}
}

// measure finds out how much there is to read.
func (b *bucketChecker) measure() {
	for i := range b.state.Segments {
		b.total += b.seen.names[b.state.Segments[i].Object.Name]
	}
	for level, size := 0, b.state.TreeSize; size > 0; level, size = level+1, size/merkle.TileWidth {
		b.total += int64(size * merkle.HashSize)
	}
}

// unread adds what could not be read: what the store says of it is no word about its bytes.
func (b *bucketChecker) unread(name string, err error) {
	if b.ctx.Err() != nil {
		return
	}
	b.add(Finding{Severity: Unreadable, Kind: KindUnreadable, File: name, Problem: err.Error(),
		Do: "see to the store, its endpoint and the credentials, then check again"})
}

// count changes the counters of what was checked.
func (b *bucketChecker) count(change func(*Checked)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.report.Checked)
}

// objectOf is the object that the manifest names for a segment.
func objectOf(s *manifest.Segment) string {
	if s.Object.Exists() {
		return s.Object.Name
	}
	return tier.SegmentName(s.FirstSeq, s.LastSeq, s.Root)
}

// frontierRoot is the root that a state's frontier gives; false when it gives none.
func frontierRoot(s *manifest.State) (root merkle.Hash, ok bool) {
	f := new(tlog.Frontier)
	if s.TreeSize > 0 {
		var err error
		if f, err = tlog.UnmarshalFrontier(s.Frontier); err != nil {
			return root, false
		}
	}
	return f.Root(), f.Size() == s.TreeSize
}
