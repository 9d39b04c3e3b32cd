package ledger

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/vfs"
)

// newForeignTiered returns a ledger whose segments have objects that another member made, of files with other blocks.
func newForeignTiered(t *testing.T, segments int) (*cluster, *objects, *replica) {
	t.Helper()
	store := newObjects()
	c, maker, _ := newPair(t, segments, 0, func(o *Options) { o.Cold, o.BlockBytes = store, 1000 })
	c.tier(store, maker)
	r := newReplica(t, func(o *Options) { o.Cold = store })
	c.feed(r.l)
	c.flush(r.l)
	if a, b := maker.l.Manifest().Segments[0].Bytes, r.l.Manifest().Segments[0].Bytes; a == b || len(r.l.Objects()) != segments {
		t.Fatalf("the files have %d and %d bytes; %d objects", a, b, len(r.l.Objects()))
	}
	for _, id := range ids(r.l) {
		if err := r.l.ListObject(id); err != nil {
			t.Fatal(err)
		}
	}
	return c, store, r
}

// fetchObject brings the object of a part, in pieces.
func fetchObject(t *testing.T, s *Staging, part SegmentPart, piece uint64) (fetched uint64, err error) {
	t.Helper()
	for done := false; !done; {
		var n uint64
		if n, done, err = s.FetchObject(context.Background(), part, piece); err != nil {
			return fetched, err
		}
		fetched += n
	}
	return fetched, nil
}

// TestRepairFromObject: a damaged file is replaced by the object, which has another length, piece by piece and across a
// power cut; the ledger opens with it.
func TestRepairFromObject(t *testing.T) {
	c, store, r := newForeignTiered(t, 3)
	want := content(t, r.l)
	id := ids(r.l)[1]
	flipByte(t, r.mem, r.l.segmentFile(id), 50)
	doubt := StageOptions{Doubt: map[string]bool{id: true}, SyncBytes: 128}
	s := stage(t, r.l, r.l, doubt)
	missing := examine(t, s)
	if len(missing) != 1 || missing[0].ID() != id || !s.HasObject(missing[0]) || s.IsCold(missing[0]) {
		t.Fatalf("missing are %+v", missing)
	}
	for range 8 {
		if n, done, err := s.FetchObject(context.Background(), missing[0], 100); n != 100 || done || err != nil {
			t.Fatalf("%d bytes, %v, %v", n, done, err)
		}
	}
	store.setAway(true)
	var cold *ColdError
	if n, done, err := s.FetchObject(context.Background(), missing[0], 100); n != 0 || done || !errors.As(err, &cold) {
		t.Fatalf("%d bytes, %v, %v", n, done, err)
	}
	store.setAway(false)
	s.Close()
	r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepNone})
	c.feed(r.l)
	c.flush(r.l)
	o := r.l.Objects()[1].Object
	s = stage(t, r.l, r.l, doubt)
	examine(t, s)
	if n, err := fetchObject(t, s, missing[0], 1000); err != nil || n > o.Bytes-800+2*128 {
		t.Fatalf("%d bytes came of %d, of which 800 had come before: %v", n, o.Bytes, err)
	}
	if len(s.Missing()) != 0 {
		t.Fatal("something is missing")
	}
	if err := r.l.Repair(s); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		g := r.l.Manifest().Segments[1]
		if g.Bytes != o.Bytes || g.Tier != "both" || fileSize(t, r.mem, r.l.segmentFile(id)) != int64(o.Bytes) {
			t.Fatalf("%+v", g)
		}
		for _, cp := range r.l.Copies() {
			if err := r.l.VerifyCopy(context.Background(), cp, nil); err != nil {
				t.Fatal(err)
			}
		}
		for key, value := range content(t, r.l) {
			if want[key] != value {
				t.Fatalf("%s is %q, want %q", key, value, want[key])
			}
		}
	}
	check()
	r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepNone})
	c.feed(r.l)
	check()
}

// TestRepairFromForgottenObject: the log has recorded a merge of a damaged segment, and forgotten its object, which the seal
// point still has. The object takes the place of the file, which had another length.
func TestRepairFromForgottenObject(t *testing.T) {
	store := newObjects()
	c, maker, _ := newPair(t, 3, 0, func(o *Options) { o.Cold, o.BlockBytes = store, 1000 })
	c.tier(store, maker)
	c.write(12, 150)
	c.seal(maker.l)
	r := newReplica(t, func(o *Options) { o.Cold = store })
	c.feed(r.l)
	c.flush(r.l)
	id := ids(r.l)[1]
	for _, w := range maker.l.MergesLeft(true) {
		c.add(w.Data)
	}
	c.feed(maker.l)
	if err := compactAll(maker.l); err != nil {
		t.Fatal(err)
	}
	for _, d := range maker.l.MergedRoots() {
		c.add(RecordWant(d).Data)
	}
	c.feed(r.l)
	want := content(t, r.l)
	if n := len(r.l.Objects()); n != 0 || r.l.Manifest().Segments[1].Object != "" {
		t.Fatalf("the log knows %d objects, the manifest %+v", n, r.l.Manifest().Segments[1])
	}
	flipByte(t, r.mem, r.l.segmentFile(id), 50)
	s := stage(t, r.l, r.l, StageOptions{Doubt: map[string]bool{id: true}})
	if _, err := fetchObject(t, s, examine(t, s)[0], 1000); err != nil {
		t.Fatal(err)
	}
	if err := r.l.Repair(s); err != nil {
		t.Fatal(err)
	}
	if got := content(t, r.l); !maps.Equal(got, want) {
		t.Fatal("the content is another")
	}
	r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepNone})
	c.feed(r.l)
	if got := content(t, r.l); !maps.Equal(got, want) {
		t.Fatal("the content is another behind a power cut")
	}
}

// TestRepairFromDamagedObject: what is not the segment is not taken, is said to be the object's fault, and comes anew.
func TestRepairFromDamagedObject(t *testing.T) {
	_, store, r := newForeignTiered(t, 2)
	id := ids(r.l)[0]
	flipByte(t, r.mem, r.l.segmentFile(id), 50)
	s := stage(t, r.l, r.l, StageOptions{Doubt: map[string]bool{id: true}})
	part := examine(t, s)[0]
	name := r.l.Objects()[0].Object.Name
	good := store.held[name]
	store.held[name] = bytes.Clone(good)
	store.held[name][40] ^= 1
	var cold *ColdError
	var corrupt *vfs.CorruptError
	if _, err := fetchObject(t, s, part, 500); !errors.As(err, &cold) || !errors.As(err, &corrupt) {
		t.Fatal(err)
	}
	delete(store.held, name)
	if _, err := fetchObject(t, s, part, 500); !errors.As(err, &cold) || !errors.As(err, &corrupt) {
		t.Fatal(err)
	}
	store.held[name] = good
	if n, err := fetchObject(t, s, part, 500); err != nil || n != uint64(len(good)) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if err := r.l.Repair(s); err != nil {
		t.Fatal(err)
	}
	if err := walkAll(r.l.Entries(0, false)); err != nil {
		t.Fatal(err)
	}
}

// TestRepairCrashes cuts the power before every change of the disk that a repair from the object makes. Whatever is left
// opens and has every entry, though the store is away; and the repair can be done again.
func TestRepairCrashes(t *testing.T) {
	c, store, base := newForeignTiered(t, 2)
	want := content(t, base.l)
	opts, id := base.l.opts, ids(base.l)[0]
	flipByte(t, base.mem, base.l.segmentFile(id), 50)
	repair := func(l *Ledger) error {
		if err := l.ListObject(id); err != nil {
			return err
		}
		s := stage(t, l, l, StageOptions{Doubt: map[string]bool{id: true}})
		for _, part := range examine(t, s) {
			if _, err := fetchObject(t, s, part, 700); err != nil {
				return err
			}
		}
		return l.Repair(s)
	}
	mem := base.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	watching, crashes := false, 0
	crash := func(n int64) {
		crashes++
		for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom} {
			store.setAway(true)
			r := (&replica{mem: mem, l: &Ledger{opts: opts}}).reopen(t,
				vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(uint64(n), uint64(i)))})
			store.setAway(false)
			c.feed(r.l)
			c.flush(r.l)
			if err := repair(r.l); err != nil {
				t.Fatalf("after a crash before operation %d: %v", n, err)
			}
			for key, value := range content(t, r.l) {
				if want[key] != value {
					t.Fatalf("after a crash before operation %d: %s is %q, want %q", n, key, value, want[key])
				}
			}
		}
	}
	o := opts
	o.FS = vfs.NewInject(mem, func(op vfs.Op) vfs.Decision {
		if watching && op.Kind.Mutates() {
			watching = false
			crash(op.N)
			watching = true
		}
		return vfs.Decision{}
	})
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	c.feed(l)
	c.flush(l)
	watching = true
	if err := repair(l); err != nil {
		t.Fatal(err)
	}
	watching = false
	crash(-1)
	if store.away || crashes < 10 {
		t.Fatalf("%d crashes", crashes)
	}
}

// TestDoubtOfAnObject: of an evicted segment whose object is damaged the file comes from a member, and is here again. The
// object is not asked for.
func TestDoubtOfAnObject(t *testing.T) {
	store := newObjects()
	c, leader, follower := newPair(t, 3, 3, func(o *Options) { o.Cold = store })
	c.tier(store, leader)
	c.feed(follower.l)
	evictAll(t, follower.l)
	id := ids(follower.l)[1]
	store.setAway(true)
	s := stage(t, follower.l, follower.l, StageOptions{Doubt: map[string]bool{id: true}})
	missing := examine(t, s)
	if len(missing) != 1 || missing[0].ID() != id || s.HasObject(missing[0]) || !s.IsCold(missing[0]) {
		t.Fatalf("missing are %+v", missing)
	}
	if _, _, err := s.FetchObject(context.Background(), missing[0], 1000); err == nil {
		t.Fatal("the object is fetched")
	}
	copyPart(t, leader.l, s, missing[0], 500)
	if err := errors.Join(s.Finish(missing[0]), follower.l.Repair(s), compactAll(follower.l)); err != nil {
		t.Fatal(err)
	}
	if n, m := follower.files(t); n != 1 || m != 2 || tiers(follower.l) != "cold both cold" {
		t.Fatalf("%d files, %d meta tails: %s", n, m, tiers(follower.l))
	}
	store.setAway(false)
	f, g, cold, err := follower.l.OpenOriginal(follower.l.Objects()[1])
	if err != nil || cold || f.Bytes != g.Object.Bytes {
		t.Fatalf("%+v, %v", g, err)
	}
	f.Close()
	if _, _, cold, err := follower.l.OpenOriginal(follower.l.Objects()[0]); !cold || !errors.Is(err, ErrNoSegment) {
		t.Fatalf("the file of an evicted segment: %v", err)
	}
	r := follower.reopen(t, vfs.CrashOptions{Keep: vfs.KeepNone})
	c.feed(r.l)
	if tiers(r.l) != "cold both cold" {
		t.Fatal(tiers(r.l))
	}
	if a, b := content(t, leader.l), content(t, r.l); !maps.Equal(a, b) {
		t.Fatalf("it holds %d entries, not %d", len(b), len(a))
	}
}

// TestColdParts: the oldest segments that have objects go until the others fit, and none that is kept.
func TestColdParts(t *testing.T) {
	segment := func(first uint64, tier manifest.Tier, object bool) manifest.Segment {
		g := manifest.Segment{FirstSeq: first, LastSeq: first, Bytes: 100, Tier: tier}
		if object {
			g.Object = manifest.Object{Name: "o", Bytes: 100}
		}
		return g
	}
	segments := []manifest.Segment{segment(0, manifest.Cold, true), segment(1, manifest.Both, true),
		segment(2, manifest.Local, false), segment(3, manifest.Both, true), segment(4, manifest.Local, true),
		segment(5, manifest.Both, true)}
	for _, test := range []struct {
		local uint64
		keep  uint64
		want  []uint64
	}{
		{0, 0, nil}, {500, 0, nil}, {499, 0, []uint64{1}}, {300, 0, []uint64{1, 3}}, {250, 0, []uint64{1, 3, 4}},
		{1, 0, []uint64{1, 3, 4, 5}}, {400, 1, []uint64{3}},
	} {
		got := coldParts(segments, StageOptions{LocalBytes: test.local,
			Keep: func(g *manifest.Segment) bool { return test.keep != 0 && g.FirstSeq == test.keep }})
		if len(got) != len(test.want) {
			t.Fatalf("with %d bytes: %v, want %v", test.local, got, test.want)
		}
		for _, first := range test.want {
			if !got[first] {
				t.Fatalf("with %d bytes: %v, want %v", test.local, got, test.want)
			}
		}
	}
}

// TestStagedObjectsAreKept until another state is staged.
func TestStagedObjectsAreKept(t *testing.T) {
	_, _, r := newForeignTiered(t, 2)
	id := ids(r.l)[0]
	flipByte(t, r.mem, r.l.segmentFile(id), 50)
	doubt := StageOptions{Doubt: map[string]bool{id: true}, SyncBytes: 64}
	s := stage(t, r.l, r.l, doubt)
	part := examine(t, s)[0]
	if _, _, err := s.FetchObject(context.Background(), part, 500); err != nil {
		t.Fatal(err)
	}
	s.Close()
	count := func() (parts int) {
		names, err := r.mem.List("data/incoming")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if path.Ext(name) == partialSuffix {
				parts++
			}
		}
		return parts
	}
	s = stage(t, r.l, r.l, doubt)
	examine(t, s)
	if count() != 1 {
		t.Fatal("what came is gone")
	}
	s.Close()
	s = stage(t, r.l, r.l, StageOptions{})
	examine(t, s)
	s.Close()
	if count() != 0 {
		t.Fatal("what came for another state is left")
	}
}
