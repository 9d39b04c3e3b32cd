package ledger

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
)

// upload puts segments that have no object into the store and has the log say so, now and then of one twice.
func (x *machine) upload(t *rapid.T) {
	segments := x.l.Untiered()
	if len(segments) == 0 {
		t.Skip("all have objects")
	}
	g := rapid.SampledFrom(segments).Draw(t, "segment")
	file := x.l.segmentFile(infoOf(g).ID)
	o, err := x.store.upload(x.mem, file, g)
	if err != nil {
		t.Fatal(err)
	}
	x.tiered(t, g, o)
	if rapid.IntRange(0, 3).Draw(t, "twice") == 0 {
		o.Name += ".again"
		x.tiered(t, g, o)
	}
}

// tieredAny proposes an object for seqs and a root that are not those of a recorded segment, or may not be any more.
func (x *machine) tieredAny(t *rapid.T) {
	var g manifest.Segment
	for r, root := range x.m.ever {
		if g.Entries == 0 || r.FirstSeq < g.FirstSeq || r.FirstSeq == g.FirstSeq && r.LastSeq < g.LastSeq {
			g = manifest.Segment{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq, Entries: 1, Root: root}
		}
	}
	if g.Entries == 0 {
		t.Skip("nothing was recorded")
	}
	switch rapid.IntRange(0, 2).Draw(t, "wrong") {
	case 0:
		g.Root = merkle.Hash{1}
	case 1:
		g.LastSeq++
	case 2:
		if _, ok := x.l.partition.Load().is(manifest.Range{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq}); ok {
			t.Skip("it is recorded")
		}
	}
	x.tiered(t, g, manifest.Object{Name: "wrong", Bytes: 2, MetaOffset: 1})
}

func (x *machine) tiered(t *rapid.T, g manifest.Segment, o manifest.Object) {
	span := manifest.Range{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq}
	x.apply(t, TieredWant(g, o).Data, func(int64) (res Result) {
		for _, p := range x.m.parts {
			if p == span && x.m.ever[p] == g.Root && x.objects[p] == (manifest.Object{}) {
				x.objects[p], res.Receipt.Count = o, 1
			}
		}
		return res
	})
}

// evict gives up the file of some segment; what may not go does not.
func (x *machine) evict(t *rapid.T) {
	s := x.drawSegment(t)
	_, here := x.mem.Stat(x.l.segmentFile(s.ID))
	err := x.l.Evict(context.Background(), s.ID)
	if want := s.Object != ""; want != (err == nil) || err != nil && !errors.Is(err, ErrNoObject) {
		t.Fatalf("evict %+v: %v", s, err)
	}
	if err != nil && here != nil {
		t.Fatalf("%s has no object, and no file: %v", s.ID, here)
	}
}

func (x *machine) fetch(t *rapid.T) {
	s := x.drawSegment(t)
	if err := x.l.Fetch(context.Background(), s.ID); err != nil {
		t.Fatalf("fetch %+v: %v", s, err)
	}
	if _, err := x.mem.Stat(x.l.segmentFile(s.ID)); err != nil {
		t.Fatalf("%s was fetched: %v", s.ID, err)
	}
}

func (x *machine) drawSegment(t *rapid.T) SegmentInfo {
	segments := x.l.Manifest().Segments
	if len(segments) == 0 {
		t.Skip("no segments")
	}
	return rapid.SampledFrom(segments).Draw(t, "segment")
}

// checkFiles holds what is on disk against what the ledger says of it: every segment's file is there, or its meta tail is,
// an object is in the store, and the manifest on disk says which.
func (x *machine) checkFiles(t *rapid.T) {
	disk, err := x.l.readManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range x.l.Manifest().Segments {
		_, err := x.mem.Stat(x.l.segmentFile(s.ID))
		if err == nil {
			continue
		}
		g, ok := disk.Segment(s.FirstSeq)
		_, meta := x.mem.Stat(x.l.metaFile(s.ID))
		if !errors.Is(err, fs.ErrNotExist) || s.Tier != "cold" || meta != nil || !ok || g.Object.Name != s.Object ||
			x.store.held[s.Object] == nil {
			t.Fatalf("%s of segment %+v: %v; meta tail: %v; on disk %+v", path.Base(x.l.segmentFile(s.ID)), s, err, meta, g)
		}
	}
}
