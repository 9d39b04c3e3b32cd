package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// restored opens a new directory on a published state. Its log goes on behind the seal point: what stands before is lost.
func restored(t testing.TB, state *manifest.State, store *objects) (*cluster, *replica) {
	t.Helper()
	r := &replica{mem: vfs.NewMem()}
	if err := PutRestored(r.mem, "data", state, []byte("members")); err != nil {
		t.Fatal(err)
	}
	opts := testOptions(r.mem)
	opts.Cold = store
	var err error
	if r.l, err = Open(opts); err != nil {
		t.Fatal(err)
	}
	return &cluster{t: t, log: make([][]byte, state.AppliedIndex)}, r
}

// settle does what a restored ledger's leader does, and says how many commands that took.
func (c *cluster) settle(l *Ledger) (commands int) {
	c.t.Helper()
	for {
		wants := l.Unsettled()
		if len(wants) == 0 {
			return commands
		}
		if commands += len(wants); commands > 1000 {
			c.t.Fatalf("it never ends: %+v", wants)
		}
		for _, w := range wants {
			c.add(w.Data)
		}
		c.feed(l)
	}
}

// recordsOf follows the ledger's own records of its segments, and returns what they come to.
func recordsOf(t *testing.T, l *Ledger) (line []tlog.Descriptor) {
	t.Helper()
	it, err := l.Entries(0, false)
	for _, e := range drained(t, it, err) {
		if e.Op != tlog.OpSegment {
			continue
		}
		d, err := tlog.ParseDescriptor(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		from := slices.IndexFunc(line, func(x tlog.Descriptor) bool { return x.FirstSeq == d.FirstSeq })
		to := slices.IndexFunc(line, func(x tlog.Descriptor) bool { return x.LastSeq == d.LastSeq })
		switch last := len(line) - 1; {
		case from < 0 && (last < 0 && d.FirstSeq == 0 || last >= 0 && d.FirstSeq == line[last].LastSeq+1):
			line = append(line, d)
		case from >= 0 && d.LastSeq > line[last].LastSeq:
			line = append(line[:from], d)
		case from >= 0 && to > from:
			line = slices.Replace(line, from, to+1, d)
		default:
			t.Fatalf("entry %d records %s, which does not follow from %+v", e.Seq, d.ID(), line)
		}
	}
	return line
}

// checkRecords holds the records in the ledger, the partition and the segments here against each other.
func checkRecords(t *testing.T, l *Ledger) {
	t.Helper()
	line, p := recordsOf(t, l), l.partition.Load()
	var recorded []tlog.Descriptor
	for _, r := range p.recorded {
		recorded = append(recorded, describe(r))
	}
	if !slices.Equal(line, recorded) {
		t.Fatalf("the ledger records %+v, and the log %+v", line, recorded)
	}
}

// TestArchiveAndRestore lives through writes, seals, merges and uploads in any order, publishes what can be, and restores
// that: the entries, roots, times and idempotency keys up to the seal point are there, each segment is recorded again with
// its object, and the restored ledger goes on as any other, on all of its replicas alike.
func TestArchiveAndRestore(t *testing.T) {
	published, swallows, straddled := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		store := newObjects()
		c, r := &cluster{t: t}, newReplica(t, func(o *Options) { o.Cold = store })
		defer func() { r.l.Close() }()
		var candidate *manifest.State
		do := map[string]func(){
			"write": func() { c.write(rapid.IntRange(1, 9).Draw(rt, "writes"), 60); c.feed(r.l) },
			"seal":  func() { c.add(SealNow()); c.feed(r.l) },
			"flush": func() { c.flush(r.l) },
			"record": func() {
				c.flush(r.l)
				for _, d := range r.l.BuiltRoots() {
					if rapid.Bool().Draw(rt, "recorded") {
						c.add(RecordWant(d).Data)
						c.feed(r.l)
					}
				}
				c.flush(r.l)
			},
			"upload": func() {
				for _, g := range r.l.Untiered() {
					if rapid.IntRange(0, 3).Draw(rt, "uploaded") > 0 {
						o, err := store.upload(r.mem, r.l.segmentFile(infoOf(g).ID), g)
						must(t, err)
						c.add(TieredWant(g, o).Data)
						c.feed(r.l)
					}
				}
			},
			"merge": func() {
				p := r.l.partition.Load()
				if n := len(p.recorded); n > 1 {
					from := rapid.IntRange(0, n-2).Draw(rt, "from")
					to := rapid.IntRange(from+1, n-1).Draw(rt, "to")
					c.add(encodeMerge(manifest.Range{FirstSeq: p.recorded[from].FirstSeq, LastSeq: p.recorded[to].LastSeq}))
					c.feed(r.l)
				}
			},
			"compact": func() {
				must(t, compactAll(r.l))
				for _, d := range r.l.MergedRoots() {
					c.add(RecordWant(d).Data)
				}
				c.feed(r.l)
				must(t, compactAll(r.l))
			},
			"grow":      func() { c.write(3, 60); c.seal(r.l) },
			"candidate": func() { candidate = r.l.Candidate() },
			"restart": func() {
				must(t, r.l.Close())
				r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
				c.feed(r.l)
				candidate = nil
				if wants := r.l.Unsettled(); len(wants) > 0 {
					rt.Fatalf("a ledger with its log wants %+v", wants)
				}
			},
		}
		do["candidate merged"] = func() {
			for _, step := range []string{"grow", "candidate", "grow", "merge", "compact"} {
				do[step]()
			}
		}
		names := append(slices.Sorted(maps.Keys(do)), "grow", "grow", "merge", "compact", "upload", "upload", "candidate")
		for range 60 {
			do[rapid.SampledFrom(names).Draw(rt, "step")]()
			if candidate == nil {
				continue
			}
			state, swallowed, err := r.l.Archive(candidate)
			must(t, err)
			if swallowed {
				candidate, swallows = r.l.Candidate(), swallows+1
			}
			if state == nil {
				continue
			}
			candidate = nil
			published++
			if last := state.Segments[len(state.Segments)-1]; last.FirstSeq < state.RecordedThrough() {
				straddled++
			}
			checkRestored(rt, t, r.l, state, store)
		}
	})
	if published < 10 || swallows < 10 || straddled < 3 {
		t.Errorf("%d states published, %d candidates swallowed, %d merged across the last record: too few", published, swallows,
			straddled)
	}
}

// checkRestored restores a state and lives on.
func checkRestored(rt *rapid.T, t *testing.T, origin *Ledger, state *manifest.State, store *objects) {
	c, a := restored(t, state, store)
	defer func() { a.l.Close() }()
	want, got := content(t, origin), content(t, a.l)
	for key, value := range got {
		if seq := state.TreeSize; strings.HasPrefix(key, "entry ") && want[key] != value {
			rt.Fatalf("%s of %d is %q, was %q", key, seq, value, want[key])
		}
	}
	size, root := a.l.Root()
	was, err := origin.RootAt(state.TreeSize)
	must(t, err)
	if size != state.TreeSize || root != was {
		rt.Fatalf("restored are %d entries with root %s, published %d with %s", size, root, state.TreeSize, was)
	}
	if index, term, members := a.l.SealPoint(); index != state.AppliedIndex || term != state.AppliedTerm ||
		string(members) != "members" {
		rt.Fatalf("the seal point is %d of term %d with %q", index, term, members)
	}
	for n := range state.AppliedIndex { // what was written under a key once is not written again
		cmd := &Command{IdempotencyKey: fmt.Sprintf("id-%d", n), Ops: []WriteOp{{Op: tlog.OpPut, Key: []byte("x")}}}
		if a.l.memory.find(cmd.IdempotencyKey) != nil && origin.memory.find(cmd.IdempotencyKey) == nil &&
			len(origin.memory.order) < testWindow {
			rt.Fatalf("%s is remembered", cmd.IdempotencyKey)
		}
	}
	early := putCommand(t, "early", nil)
	StampTime(early, 1)
	c.log = append(c.log, early)
	c.settle(a.l)
	c.feed(a.l)
	if e, err := a.l.Get([]byte("early"), Selector{}); err != nil || e.Time < state.LastTime {
		rt.Fatalf("an entry behind time %d: %+v, %v", state.LastTime, e, err)
	}
	checkRecords(t, a.l)
	p := a.l.partition.Load()
	if p.through() != state.TreeSize || len(p.recorded) != len(state.Segments) || len(p.merges) > 0 {
		rt.Fatalf("recorded are %+v", p)
	}
	for i, r := range p.recorded {
		if r.Object != state.Segments[i].Object || r.Root != state.Segments[i].Root {
			rt.Fatalf("segment %d is recorded as %+v, restored was %+v", i, r, state.Segments[i])
		}
	}
	// It goes on: seals, merges all there is, publishes again; a second replica, and a restart, come to the same.
	c.write(5, 60)
	c.seal(a.l)
	for _, w := range a.l.MergesLeft(true) {
		c.add(w.Data)
	}
	c.feed(a.l)
	must(t, compactAll(a.l))
	for _, d := range a.l.MergedRoots() {
		c.add(RecordWant(d).Data)
	}
	c.feed(a.l)
	must(t, compactAll(a.l))
	c.tier(store, a)
	next, swallowed, err := a.l.Archive(a.l.Candidate())
	if must(t, err); next == nil || swallowed || next.TreeSize <= state.TreeSize {
		rt.Fatalf("the restored ledger publishes %+v", next)
	}
	checkRecords(t, a.l)
	if at, err := a.l.RootAt(state.TreeSize); err != nil || at != was {
		rt.Fatalf("the root of what was published is %s now, %v", at, err)
	}
	_, b := restored(t, state, store)
	defer b.l.Close()
	c.feed(b.l)
	again := a.reopen(t, vfs.CrashOptions{Keep: vfs.KeepNone})
	defer again.l.Close()
	c.feed(again.l)
	size, root = a.l.Root()
	for _, r := range []*replica{b, again} {
		if s, h := r.l.Root(); s != size || h != root {
			rt.Fatalf("one replica has %d entries with root %s, another %d with %s", size, root, s, h)
		}
		if wants := r.l.Unsettled(); len(wants) > 0 {
			rt.Fatalf("it still wants %+v", wants)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestArchiveWaits: nothing is to be published before the last segment is recorded, and has its object.
func TestArchiveWaits(t *testing.T) {
	store := newObjects()
	c, r := &cluster{t: t}, newReplica(t, func(o *Options) { o.Cold = store })
	if r.l.Candidate() != nil {
		t.Fatal("an empty ledger has something to publish")
	}
	publishes := func(want bool) *manifest.State {
		t.Helper()
		state, swallowed, err := r.l.Archive(r.l.Candidate())
		if err != nil || swallowed || (state != nil) != want {
			t.Fatalf("%+v, %v, %v", state, swallowed, err)
		}
		return state
	}
	for range 3 {
		c.write(4, 60)
		c.seal(r.l)
		publishes(false)
		c.tier(store, r)
		publishes(true)
	}
	evictAll(t, r.l)
	state := publishes(true)
	for _, g := range state.Segments {
		if g.Tier != manifest.Cold || g.Bytes != g.Object.Bytes || store.held[g.Object.Name] == nil {
			t.Fatalf("%+v", g)
		}
	}
	store.setAway(true)
	mem := vfs.NewMem()
	must(t, PutRestored(mem, "data", state, nil))
	opts := testOptions(mem)
	opts.Cold = store
	if _, err := Open(opts); !errors.Is(err, errAway) {
		t.Fatalf("restored without the store: %v", err)
	}
	store.setAway(false)
	l, err := Open(opts)
	must(t, err)
	defer l.Close()
	if size, root := l.Root(); size != state.TreeSize {
		t.Fatal(size, root)
	}
}

// TestFetchAll brings everything back, at once, and goes on where an earlier try has ended.
func TestFetchAll(t *testing.T) {
	c, store, r := newTiered(t, 9)
	evictAll(t, r.l)
	want := content(t, r.l)
	var last FetchProgress
	tell := func(p FetchProgress) {
		if p.BytesDone < last.BytesDone || p.SegmentsDone < last.SegmentsDone {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := r.l.FetchAll(ctx, 3, func(p FetchProgress) {
		if p.SegmentsDone == 4 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	store.setAway(true)
	if err := r.l.FetchAll(t.Context(), 3, nil); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	store.setAway(false)
	must(t, r.l.FetchAll(t.Context(), 0, tell))
	must(t, compactAll(r.l))
	if n, m := r.files(t); n != 9 || m != 0 || last.Segments != last.SegmentsDone || last.Bytes != last.BytesDone || last.Bytes == 0 {
		t.Fatalf("%d files and %d meta tails: %+v", n, m, last)
	}
	store.setAway(true)
	if got := content(t, r.l); !maps.Equal(got, want) {
		t.Fatal("what came back is not what went")
	}
	if got := len(r.l.pinsOf()); got != 0 {
		t.Fatalf("%d files are pinned", got)
	}
	c.feed(r.l)
}

// TestTileHashes holds tiles against the leaves.
func TestTileHashes(t *testing.T) {
	c, r := &cluster{t: t}, newReplica(t, nil)
	for range 3 {
		c.write(200, 10)
		c.seal(r.l)
	}
	size := r.l.NextSeq()
	leaves := make([]merkle.Hash, size)
	must(t, r.l.ReadLeaves(0, leaves))
	for i := uint64(0); ; i++ {
		w := merkle.TileWidthAt(0, i, size)
		for _, width := range []int{w, 1, w + 1, 257, 0} {
			got, err := r.l.TileHashes(merkle.Tile{Index: i, Width: width})
			switch {
			case width > w || width == 0:
				if !errors.Is(err, merkle.ErrRange) {
					t.Fatalf("tile %d of width %d: %v", i, width, err)
				}
			case err != nil || !slices.Equal(got, leaves[i*256:i*256+uint64(width)]):
				t.Fatalf("tile %d of width %d: %v", i, width, err)
			}
		}
		if w == 0 {
			break
		}
	}
	upper, err := r.l.TileHashes(merkle.Tile{Level: 1, Width: int(size / 256)})
	for i, h := range upper {
		if h != merkle.RootOf(leaves[i*256:i*256+256]) {
			t.Fatalf("hash %d of level 1", i)
		}
	}
	if err != nil || len(upper) < 2 {
		t.Fatal(len(upper), err)
	}
}

// TestRecordAcross: a record in the place of the last segments that reaches beyond them is of a segment that a restore has
// brought. A ledger that has not got it has diverged.
func TestRecordAcross(t *testing.T) {
	c, r := &cluster{t: t}, newReplica(t, nil)
	c.write(3, 60)
	c.seal(r.l)
	c.write(3, 60)
	c.add(SealNow())
	c.feed(r.l)
	c.flush(r.l)
	built := r.l.BuiltRoots()
	if len(built) != 1 || r.l.NextSeq() != built[0].LastSeq+1 {
		t.Fatalf("built are %+v", built)
	}
	across := tlog.Descriptor{LastSeq: built[0].LastSeq, Entries: built[0].LastSeq + 1}
	data := RecordWant(across).Data
	StampTime(data, 1)
	_, err := r.l.Apply(uint64(len(c.log))+1, 1, data)
	if diverged := (*DivergedError)(nil); !errors.As(err, &diverged) {
		t.Fatal(err)
	}
}

// TestRestoreAtOnce: a ledger with goroutines fetches several meta tails at a time, and one that is missing ends it.
func TestRestoreAtOnce(t *testing.T) {
	_, store, r := newTiered(t, 20)
	state, _, err := r.l.Archive(r.l.Candidate())
	must(t, err)
	open := func() (*Ledger, error) {
		mem := vfs.NewMem()
		must(t, PutRestored(mem, "data", state, nil))
		opts := testOptions(mem)
		opts.Cold, opts.Manual = store, false
		return Open(opts)
	}
	l, err := open()
	must(t, err)
	if size, root := l.Root(); size != state.TreeSize || root == (merkle.Hash{}) {
		t.Fatal(size, root)
	}
	must(t, l.Close())
	delete(store.held, state.Segments[7].Object.Name)
	var cold *ColdError
	if _, err := open(); !errors.As(err, &cold) || cold.Object != state.Segments[7].Object.Name ||
		strings.Count(err.Error(), "ledger: ") != 1 {
		t.Fatal(err)
	}
}
