package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

var errAway = errors.New("the store is away")

// objects is an object store in memory, which may be away.
type objects struct {
	mu    sync.Mutex
	held  map[string][]byte
	away  bool
	reads int // range requests
}

func newObjects() *objects { return &objects{held: map[string][]byte{}} }

func (s *objects) setAway(away bool) {
	s.mu.Lock()
	s.away = away
	s.mu.Unlock()
}

func (s *objects) get(o manifest.Object, off, n uint64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, errAway
	}
	s.reads++
	b, ok := s.held[o.Name]
	if !ok || uint64(len(b)) != o.Bytes {
		return nil, &vfs.CorruptError{File: "mem:store/" + o.Name, Reason: "the object is missing"}
	}
	return bytes.Clone(b[off : off+n]), nil
}

func (s *objects) Open(o manifest.Object, meta io.ReaderAt) (segfile.Source, error) {
	return &objectSource{s, o, meta}, nil
}

func (s *objects) Fetch(_ context.Context, o manifest.Object, off, n uint64) (io.ReadCloser, error) {
	b, err := s.get(o, off, n)
	return io.NopCloser(bytes.NewReader(b)), err
}

type objectSource struct {
	store *objects
	o     manifest.Object
	meta  io.ReaderAt
}

func (s *objectSource) Name() string { return "mem:store/" + s.o.Name }
func (s *objectSource) Size() int64  { return int64(s.o.Bytes) }

func (s *objectSource) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(s.o.MetaOffset) {
		return s.meta.ReadAt(p, off-int64(s.o.MetaOffset))
	}
	b, err := s.store.get(s.o, uint64(off), uint64(len(p)))
	return copy(p, b), err
}

// upload puts the file of a segment into the store.
func (s *objects) upload(fsys vfs.FS, file string, g manifest.Segment) (manifest.Object, error) {
	b, err := vfs.ReadFile(fsys, file, 1<<30)
	if err != nil {
		return manifest.Object{}, err
	}
	r, err := segfile.Open(segfile.NewBytesSource(file, b))
	if err != nil {
		return manifest.Object{}, err
	}
	o := manifest.Object{Name: fmt.Sprintf("segments/%s-%x.seg", infoOf(g).ID, g.Root[:8]), Bytes: uint64(len(b)),
		SHA256: sha256.Sum256(b), MetaOffset: r.MetaOffset()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[o.Name] = b
	return o, nil
}

// tier uploads all segments that have no object, and has the log say so.
func (c *cluster) tier(store *objects, by *replica) {
	c.t.Helper()
	for _, g := range by.l.Untiered() {
		o, err := store.upload(by.mem, by.l.segmentFile(infoOf(g).ID), g)
		if err != nil {
			c.t.Fatal(err)
		}
		c.add(TieredWant(g, o).Data)
	}
	c.feed(by.l)
}

// newTiered returns a ledger with segments that have objects, and a few entries in memory.
func newTiered(t testing.TB, segments int) (*cluster, *objects, *replica) {
	store := newObjects()
	c, r, _ := newPair(t, segments, 0, func(o *Options) { o.Cold = store })
	c.tier(store, r)
	return c, store, r
}

func ids(l *Ledger) (out []string) {
	for _, s := range l.Manifest().Segments {
		out = append(out, s.ID)
	}
	return out
}

func evictAll(t testing.TB, l *Ledger) {
	t.Helper()
	for _, id := range ids(l) {
		if err := l.Evict(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := compactAll(l); err != nil {
		t.Fatal(err)
	}
}

// files are the names of segment files, and of meta tails.
func (r *replica) files(t testing.TB) (segments, metas int) {
	t.Helper()
	names, err := r.mem.List("data/segments")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		switch path.Ext(name) {
		case segmentSuffix:
			segments++
		case metaSuffix:
			metas++
		default:
			t.Fatalf("%s is left", name)
		}
	}
	return segments, metas
}

func tiers(l *Ledger) string {
	var out []string
	for _, s := range l.Manifest().Segments {
		out = append(out, s.Tier)
	}
	return strings.Join(out, " ")
}

// TestEvictAndFetch: without its files a ledger answers as with them, also when it is opened anew, and again once they are
// back. A file goes with its last reader.
func TestEvictAndFetch(t *testing.T) {
	c, _, r := newTiered(t, 3)
	want := content(t, r.l)
	reopen := func() {
		r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
		c.feed(r.l)
	}
	if got := tiers(r.l); got != "both both both" {
		t.Fatalf("segments are %s", got)
	}
	reader, err := r.l.Entries(0, false)
	if err != nil || !reader.Next() {
		t.Fatal(err)
	}
	evictAll(t, r.l)
	if n, m := r.files(t); n != 3 || m != 3 {
		t.Fatalf("%d files and %d meta tails while there is a reader", n, m)
	}
	reader.Close()
	if err := compactAll(r.l); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		do           func()
		tiers        string
		files, metas int
	}{
		{func() {}, "cold cold cold", 0, 3},
		{reopen, "cold cold cold", 0, 3},
		{func() { evictAll(t, r.l) }, "cold cold cold", 0, 3},
		{func() {
			if err := errors.Join(r.l.Fetch(context.Background(), ids(r.l)[1]), compactAll(r.l)); err != nil {
				t.Fatal(err)
			}
		}, "cold both cold", 1, 2},
		{reopen, "cold both cold", 1, 2},
		{func() { evictAll(t, r.l) }, "cold cold cold", 0, 3},
	} {
		step.do()
		if n, m := r.files(t); n != step.files || m != step.metas || tiers(r.l) != step.tiers {
			t.Fatalf("%d files, %d meta tails, %s; want %d, %d, %s", n, m, tiers(r.l), step.files, step.metas, step.tiers)
		}
		for key, value := range content(t, r.l) {
			if want[key] != value {
				t.Fatalf("%s is %q, want %q", key, value, want[key])
			}
		}
	}
}

// TestEvictRefuses: nothing goes without an object that the log has recorded, and whose meta tail proves to be the segment's.
func TestEvictRefuses(t *testing.T) {
	ctx := context.Background()
	store := newObjects()
	c, r, _ := newPair(t, 3, 0, func(o *Options) { o.Cold = store })
	all := ids(r.l)
	if err := r.l.Evict(ctx, all[0]); !errors.Is(err, ErrNoObject) {
		t.Fatalf("evict without an object: %v", err)
	}
	if err := r.l.Evict(ctx, tlog.SegmentID(0, 1)); !errors.Is(err, ErrNoSegment) {
		t.Fatalf("evict of no segment: %v", err)
	}
	// An object of another root is not this segment's.
	g := r.l.Untiered()[0]
	o, err := store.upload(r.mem, r.l.segmentFile(all[0]), g)
	if err != nil {
		t.Fatal(err)
	}
	other := g
	other.Root[0] ^= 1
	c.add(TieredWant(other, o).Data)
	c.feed(r.l)
	if err := r.l.Evict(ctx, all[0]); !errors.Is(err, ErrNoObject) || len(r.l.Objects()) != 0 {
		t.Fatalf("evict with an object of another root: %v", err)
	}
	c.tier(store, r)
	for name, spoil := range map[string]func(b []byte){
		"away":           func([]byte) { store.setAway(true) },
		"damaged leaf":   func(b []byte) { b[o.MetaOffset+30] ^= 1 },
		"damaged footer": func(b []byte) { b[len(b)-20] ^= 1 },
	} {
		before := store.held[o.Name]
		store.held[o.Name] = bytes.Clone(before)
		spoil(store.held[o.Name])
		var cold *ColdError
		if err := r.l.Evict(ctx, all[0]); !errors.As(err, &cold) || tiers(r.l) != "both both both" {
			t.Fatalf("%s: %v, %s", name, err, tiers(r.l))
		}
		store.held[o.Name] = before
		store.setAway(false)
	}
	if n, m := r.files(t); n != 3 || m != 0 {
		t.Fatalf("%d files and %d meta tails", n, m)
	}
	// What is proposed again, with another object, changes nothing.
	again := o
	again.Name = "another"
	c.add(TieredWant(g, again).Data)
	c.feed(r.l)
	if got := r.l.Objects(); len(got) != 3 || got[0].Object != o {
		t.Fatalf("objects are %+v", got)
	}
	evictAll(t, r.l)
}

// TestStoreAway: while the store is away a ledger opens, goes on with what is here, and says of the rest why it cannot be
// read: never that it is not there, and never that this member is damaged.
func TestStoreAway(t *testing.T) {
	c, store, r := newTiered(t, 3)
	var damaged error
	evictAll(t, r.l)
	r.l.opts.Damaged = func(err error) { damaged = err }
	c.write(12, 150)
	c.seal(r.l)
	store.setAway(true)
	r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
	c.feed(r.l)
	if _, err := r.l.Get([]byte("k/1"), Selector{}); err != nil { // of the last segment
		t.Fatal(err)
	}
	if _, err := r.l.Get([]byte("k/1"), Selector{Kind: AsOfSeq, Seq: 5}); !errors.Is(err, errAway) {
		t.Fatalf("a cold read: %v", err)
	}
	it, err := r.l.Entries(0, false)
	if err == nil {
		err = walkAll(it, nil)
	}
	if !errors.Is(err, errAway) {
		t.Fatalf("a cold walk: %v", err)
	}
	// A write that depends on what cannot be read has no outcome, and changes nothing.
	size, root := r.l.Root()
	cold := mustEncode(t, &Command{Ops: []WriteOp{{Op: tlog.OpDelete, Key: []byte("never")}}})
	if res, err := r.l.Apply(uint64(len(c.log)+1), 1, cold); err != nil || res.Err == nil {
		t.Fatalf("a delete that filters answer: %+v, %v", res, err)
	}
	if s, got := r.l.Root(); s != size || got != root {
		t.Fatal("the ledger changed")
	}
	store.setAway(false)
	if err := walkAll(r.l.Entries(0, false)); err != nil {
		t.Fatal(err)
	}
	// A flipped bit in an object is damage of the archive.
	for name, b := range store.held {
		b[30] ^= 1
		store.held[name] = b
	}
	r.l.cache = sstable.NewBlockCache(-1)
	var corrupt *vfs.CorruptError
	r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
	if err := walkAll(r.l.Entries(0, false)); !errors.As(err, &corrupt) || damaged != nil {
		t.Fatalf("a damaged object: %v, and the owner was told %v", err, damaged)
	}
}

// TestApplyWaits: a committed write whose outcome depends on a cold segment waits for the store, and for nothing else.
func TestApplyWaits(t *testing.T) {
	c, store, r := newTiered(t, 2)
	evictAll(t, r.l)
	cmd := mustEncode(t, &Command{Ops: []WriteOp{{Op: tlog.OpPut, Key: []byte("k/0"), Value: []byte("v"),
		Conditions: []Condition{{Kind: IfMatch, Any: true}}}}})
	store.setAway(true)
	next := func() uint64 { return r.l.AppliedIndex() + 1 }
	r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
	for i := r.l.AppliedIndex(); i < uint64(len(c.log)); i++ {
		// What is in memory only has other keys' newest versions; the test needs k/0 to be in a segment.
		if d, err := DescribeCommand(c.log[i]); err == nil && d.Kind != "write" {
			mustApply(t, r.l, next(), bytes.Clone(c.log[i]))
		}
	}
	size, root := r.l.Root()
	var cold *ColdError
	if _, err := r.l.Apply(next(), 1, bytes.Clone(cmd)); !errors.As(err, &cold) || !errors.Is(err, errAway) {
		t.Fatalf("apply: %v", err)
	}
	if s, got := r.l.Root(); s != size || got != root {
		t.Fatal("the ledger changed")
	}
	// With goroutines of its own it asks again by itself, but for who wants to close it.
	closing := r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
	closing.l.opts.Manual = false
	closing.l.opts.After = func(time.Duration) <-chan time.Time {
		closing.l.Interrupt()
		return nil
	}
	if _, err := closing.l.Apply(closing.l.AppliedIndex()+1, 1, bytes.Clone(cmd)); !errors.Is(err, ErrClosed) {
		t.Fatalf("apply, interrupted: %v", err)
	}
	// It gives up what it was told to pass over.
	passed := r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
	passed.l.opts.Manual = false
	passed.l.opts.Superseded = func() bool { return true }
	if _, err := passed.l.Apply(passed.l.AppliedIndex()+1, 1, bytes.Clone(cmd)); !errors.As(err, &cold) {
		t.Fatalf("apply, superseded: %v", err)
	}
	if _, damage := passed.l.ApplyStuck(); damage != nil {
		t.Fatalf("a store that is away is no damage: %v", damage)
	}
	waits := 0
	r.l.opts.Manual = false
	r.l.opts.After = func(time.Duration) <-chan time.Time {
		if waits++; waits == 3 {
			store.setAway(false)
		}
		ch := make(chan time.Time, 1)
		ch <- time.Time{}
		return ch
	}
	if res := mustApply(t, r.l, next(), bytes.Clone(cmd)); res.Err != nil || res.Receipt.Count != 1 || waits != 3 {
		t.Fatalf("%+v after %d waits", res, waits)
	}
}

// TestRenewMeta: a leaf tile that is damaged in the meta tail is damage, not of the ledger's own, until it is fetched anew.
func TestRenewMeta(t *testing.T) {
	_, _, r := newTiered(t, 1)
	evictAll(t, r.l)
	id := ids(r.l)[0]
	damaged := error(nil)
	r.l.opts.Damaged = func(err error) { damaged = err }
	r.l.opts.BlockCacheBytes = -1
	r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
	flipByte(t, r.mem, r.l.metaFile(id), 30)
	var corrupt *vfs.CorruptError
	if _, err := r.l.Prove([]byte("k/1"), Selector{}); !errors.As(err, &corrupt) {
		t.Fatalf("a proof out of a damaged meta tail: %v", err)
	}
	if err := r.l.RenewMeta(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := r.l.Prove([]byte("k/1"), Selector{}); err != nil || damaged != nil || tiers(r.l) != "cold" {
		t.Fatalf("%v; the owner was told %v; %s", err, damaged, tiers(r.l))
	}
	if err := compactAll(r.l); err != nil {
		t.Fatal(err)
	}
	if n, m := r.files(t); n != 0 || m != 1 {
		t.Fatalf("%d files, %d meta tails", n, m)
	}
}

// TestOpenFetchesMeta: a meta tail that is missing or damaged comes anew when the ledger is opened, and a file that is
// missing without an object is damage as ever.
func TestOpenFetchesMeta(t *testing.T) {
	_, store, r := newTiered(t, 3)
	all := ids(r.l)
	for _, id := range all[:2] {
		if err := r.l.Evict(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := compactAll(r.l); err != nil {
		t.Fatal(err)
	}
	want := content(t, r.l)
	if err := r.mem.Remove(r.l.metaFile(all[0])); err != nil {
		t.Fatal(err)
	}
	flipByte(t, r.mem, r.l.metaFile(all[1]), 100) // a leaf
	store.setAway(true)
	opts := r.l.opts
	opts.FS = r.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	if _, err := Open(opts); !errors.Is(err, errAway) {
		t.Fatalf("open without meta tails: %v", err)
	}
	store.setAway(false)
	object := r.l.Objects()[0].Object
	for at := object.MetaOffset; at < object.Bytes; at += (object.Bytes - object.MetaOffset) / 20 {
		store.held[object.Name][at] ^= 4
		opts.FS = r.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
		var corrupt *vfs.CorruptError
		_, err := Open(opts)
		if !errors.As(err, new(*ColdError)) || !errors.As(err, &corrupt) || !strings.HasSuffix(corrupt.File, object.Name) ||
			corrupt.Offset < int64(object.MetaOffset) {
			t.Fatalf("open over an object that is damaged at %d: %v", at, err)
		}
		store.held[object.Name][at] ^= 4
	}
	r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
	if got := content(t, r.l); got["entry 0"] != want["entry 0"] || tiers(r.l) != "cold cold both" {
		t.Fatalf("%s, entry 0 is %q", tiers(r.l), got["entry 0"])
	}
	if n, m := r.files(t); n != 1 || m != 2 {
		t.Fatalf("%d files, %d meta tails", n, m)
	}
	opts.Cold = nil
	opts.FS = r.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	if _, err := Open(opts); !errors.Is(err, ErrNoCold) {
		t.Fatalf("open without a store: %v", err)
	}
}
