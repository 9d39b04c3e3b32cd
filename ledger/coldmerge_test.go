package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/vfs"
)

// merging returns a leader and a follower that merge, with segments that have objects and are cold on both.
func merging(t *testing.T) (*cluster2, *objects) {
	store := newObjects()
	c := newCluster2(t)
	for _, r := range []*replica{c.leader, c.follower} {
		r.l.opts.Cold = store
	}
	for i := range 2 {
		c.segment(i, true)
	}
	if err := flushAll(c.follower.l); err != nil {
		t.Fatal(err)
	}
	c.upload(store, c.leader)
	for _, r := range []*replica{c.leader, c.follower} {
		evictAll(t, r.l)
	}
	return c, store
}

func (c *cluster2) upload(store *objects, by *replica) {
	c.t.Helper()
	for _, g := range by.l.Untiered() {
		o, err := store.upload(by.mem, by.l.segmentFile(infoOf(g).ID), g)
		if err != nil {
			c.t.Fatal(err)
		}
		c.apply(TieredWant(g, o).Data)
	}
}

// TestMergeCold: a merge reads cold inputs from the store, waits while that is away, and goes on. What it makes has no
// object; once it has one, a replica that is behind takes that, also when the objects of the inputs are gone.
func TestMergeCold(t *testing.T) {
	c, store := merging(t)
	want := content(t, c.leader.l)
	wants := c.leader.l.MergesLeft(true)
	if len(wants) != 1 {
		t.Fatalf("%d merges", len(wants))
	}
	c.apply(wants[0].Data)
	if len(c.leader.l.Untiered()) != 0 {
		t.Fatal("a segment that is about to be merged is to be uploaded")
	}
	store.setAway(true)
	if _, err := c.leader.l.CompactStep(); !errors.Is(err, errAway) {
		t.Fatalf("merge while the store is away: %v", err)
	}
	if err := flushAll(c.leader.l); err != nil {
		t.Fatal(err)
	}
	store.setAway(false)
	c.merge(c.leader)
	if got := c.leader.l.Objects(); len(got) != 0 || tiers(c.leader.l) != "local" {
		t.Fatalf("the merged segment is %s; objects %+v", tiers(c.leader.l), got)
	}
	if n, m := c.leader.files(t); n != 1 || m != 0 {
		t.Fatalf("%d files and %d meta tails", n, m)
	}
	store.held = map[string][]byte{}
	if err := compactAll(c.follower.l); err == nil {
		t.Fatal("the follower has merged what is nowhere")
	}
	c.upload(store, c.leader)
	if err := compactAll(c.follower.l); err != nil {
		t.Fatal(err)
	}
	if tiers(c.follower.l) != "cold" || tiers(c.leader.l) != "both" {
		t.Fatalf("the follower's segments are %s, the leader's %s", tiers(c.follower.l), tiers(c.leader.l))
	}
	for _, r := range []*replica{c.leader, c.follower} {
		for key, value := range content(t, r.l) {
			if v, ok := want[key]; ok && v != value {
				t.Fatalf("%s is %q, want %q", key, value, v)
			}
		}
	}
	r := c.follower.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
	if tiers(r.l) != "cold" {
		t.Fatalf("opened anew, the follower's segments are %s", tiers(r.l))
	}
}

// TestInstallCold: a snapshot of a member that has segments in the store only brings their objects, and no file. When the
// store is away they are looked for among the members. With StageOptions.Adopt the giver's files are not asked for.
func TestInstallCold(t *testing.T) {
	store := newObjects()
	c, leader, follower := newPair(t, 4, 1, func(o *Options) { o.Cold = store })
	c.tier(store, leader)
	all := ids(leader.l)
	for _, id := range all[1:3] {
		if err := leader.l.Evict(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := compactAll(leader.l); err != nil {
		t.Fatal(err)
	}
	want := content(t, leader.l)
	for _, test := range []struct {
		name    string
		adopt   bool
		away    bool
		missing int
		tiers   string
	}{
		{"the giver's files are copied", false, false, 1, "both cold cold both"},
		{"nothing is copied", true, false, 0, "both cold cold cold"},
		{"the store is away", false, true, 3, ""},
	} {
		r := follower.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
		store.setAway(test.away)
		s := stage(t, leader.l, r.l, StageOptions{Adopt: test.adopt})
		if got := examine(t, s); len(got) != test.missing {
			t.Fatalf("%s: %d segments are missing, want %d", test.name, len(got), test.missing)
		}
		if test.away {
			for _, part := range s.Missing()[:2] {
				if _, err := leader.l.OpenSegment(part); !errors.Is(err, ErrNoSegment) {
					t.Fatalf("%s: the giver opens what it does not have: %v", test.name, err)
				}
			}
			s.Close()
			store.setAway(false)
			continue
		}
		copyAll(t, leader.l, s)
		if err := r.l.Install(s); err != nil {
			t.Fatal(err)
		}
		c.feed(r.l)
		for pass := range 2 {
			if _, err := r.mem.Stat(r.l.segmentFile(all[1])); err == nil {
				t.Fatalf("%s: the file of a cold segment is here", test.name)
			}
			for key, value := range content(t, r.l) {
				if want[key] != value {
					t.Fatalf("%s, pass %d: %s is %q, want %q", test.name, pass, key, value, want[key])
				}
			}
			if tiers(r.l) != test.tiers {
				t.Fatalf("%s, pass %d: segments are %s, want %s", test.name, pass, tiers(r.l), test.tiers)
			}
			r = r.reopen(t, vfs.CrashOptions{Keep: vfs.KeepAll})
			c.feed(r.l)
		}
	}
}

// TestEvictBeside: readers and writers go on while segments go and come back.
func TestEvictBeside(t *testing.T) {
	c, _, r := newTiered(t, 3)
	stop, done := make(chan struct{}), make(chan error)
	for range 2 {
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				for seq := range uint64(28) { // k/1 is first written by the second entry
					if _, err := r.l.Get([]byte("k/1"), Selector{Kind: AsOfSeq, Seq: seq + 1}); err != nil {
						done <- err
						return
					}
				}
				if err := walkAll(r.l.Entries(0, false)); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range 5 {
		for _, id := range ids(r.l) {
			if err := errors.Join(r.l.Evict(context.Background(), id), compactAll(r.l)); err != nil {
				t.Error(err)
			}
			if err := errors.Join(r.l.Fetch(context.Background(), id), compactAll(r.l)); err != nil {
				t.Error(err)
			}
		}
		c.write(2, 100)
		c.feed(r.l)
	}
	close(stop)
	for range 2 {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("a reader hangs")
		}
	}
}
