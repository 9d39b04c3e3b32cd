package tier_test

import (
	"context"
	"errors"
	"slices"

	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

// states is an archive of states, as far as the sweep goes by names, and what it must still have.
type states struct {
	store *tier.Mem
	now   time.Time
	lock  bool // all objects are locked
	size  uint64
	made  []shelved
	full  map[string]bool // complete tiles
	ends  map[string]bool // checkpoints
}

// shelved is a state, the tiles at the right edge of its tree, and when another one took its place.
type shelved struct {
	name  string
	size  uint64
	edge  []string
	until time.Time // zero: it is the newest
}

func newStates() *states {
	s := &states{now: time.Unix(1e9, 0), full: map[string]bool{}, ends: map[string]bool{}}
	s.store = tier.NewMem(tier.MemOptions{Now: func() time.Time { return s.now }, Retention: time.Hour * 1000})
	return s
}

func (s *states) put(key string) error {
	_, err := s.store.Put(context.Background(), key, tier.BytesBody([]byte(key)), tier.PutOptions{Sealed: s.lock})
	if errors.Is(err, tier.ErrExists) {
		return nil
	}
	return err
}

// publish makes a state the newest. Two of one size are of leaders that have merged more or less.
func (s *states) publish(size uint64, which byte) error {
	g := shelved{name: tier.ManifestName(size, merkle.Hash{which}), size: size}
	if slices.ContainsFunc(s.made, func(o shelved) bool { return o.name == g.name }) {
		return nil // it was published, and another one since; nobody goes back
	}
	for level, n := 0, size; n > 0; level, n = level+1, n>>merkle.TileHeight {
		t := merkle.Tile{Level: level, Index: n / merkle.TileWidth, Width: merkle.TileWidth}
		if t.Index > 0 {
			t.Index--
			s.full[tier.TileName(t)] = true
			t.Index++
		}
		if t.Width = int(n % merkle.TileWidth); t.Width > 0 {
			g.edge = append(g.edge, tier.TileName(t))
		}
	}
	end := tier.CheckpointNameAt(size)
	s.ends[end] = true
	for _, key := range slices.Concat(g.edge, keysIn(s.full), []string{end, g.name}) {
		if err := s.put(key); err != nil {
			return err
		}
	}
	if n := len(s.made); n > 0 {
		s.made[n-1].until = s.now
	}
	s.made, s.size = append(s.made, g), size
	return nil
}

func keysIn(set map[string]bool) (keys []string) {
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// mustHave are the keys that no sweep may have taken by now.
func (s *states) mustHave(age time.Duration) map[string]bool {
	keys := map[string]bool{}
	for _, set := range []map[string]bool{s.full, s.ends} {
		for k := range set {
			keys[k] = true
		}
	}
	for _, g := range s.made {
		if g.until.IsZero() || s.now.Sub(g.until) < age {
			keys[g.name] = true
			for _, k := range g.edge {
				keys[k] = true
			}
		}
	}
	return keys
}

// TestSweepOfStates: whatever is published and swept in whatever order, the newest state is whole, and so is each one for an
// hour after the next; and in the end there is no other, nor a partial tile of another.
func TestSweepOfStates(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := newStates()
		sweep := func() map[string]bool {
			var at tier.SweepCursor
			for done := false; !done; {
				found, err := tier.Sweep(context.Background(), s.store, tier.SweepOptions{Published: s.size, Pages: 1,
					Keep: func(string) bool { return true }, Age: time.Hour}, &at)
				if err != nil {
					r.Fatal(err)
				}
				done = found.Done
			}
			left := map[string]bool{}
			for _, k := range keysOf(t, s.store) {
				left[k] = true
			}
			return left
		}
		for range rapid.IntRange(1, 25).Draw(r, "publications") {
			grow := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(1, 9), rapid.Uint64Range(1, 400),
				rapid.SampledFrom([]uint64{256, 65536, 65535, 1 << 24}), rapid.Uint64Range(1, 1<<26)).Draw(r, "entries")
			if err := s.publish(max(1, s.size+grow), rapid.Byte().Draw(r, "hash")); err != nil {
				r.Fatal(err)
			}
			s.now = s.now.Add(time.Duration(rapid.SampledFrom([]int{1, 7, 30, 61, 300}).Draw(r, "minutes")) * time.Minute)
			if rapid.Bool().Draw(r, "sweep") {
				left := sweep()
				for k := range s.mustHave(time.Hour) {
					if !left[k] {
						r.Fatalf("%s is gone", k)
					}
				}
			}
		}
		last := s.made[len(s.made)-1]
		s.now = s.now.Add(2 * time.Hour)
		for k := range sweep() {
			g, err := tier.ParseManifestName(k)
			if err == nil && g.TreeSize < last.size {
				r.Fatalf("%s is left", k)
			}
			if tile, err := tier.ParseTileName(k); err == nil && tile.Width < merkle.TileWidth &&
				!slices.Contains(last.edge, k) {
				r.Fatalf("%s is left", k)
			}
		}
	})
}

// TestSweepOfLockedStates: states that the store's retention keeps stay, with their tiles, and do not make a sweep ask for each
// of them; they go when that ends.
func TestSweepOfLockedStates(t *testing.T) {
	s := newStates()
	s.lock = true
	for size := uint64(1); size <= 100; size++ {
		if err := s.publish(size, 0); err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(time.Minute)
	}
	s.now = s.now.Add(2 * time.Hour)
	before, deletes := keysOf(t, s.store), s.store.Count(tier.OpDelete)
	opts := tier.SweepOptions{Published: 100, Keep: func(string) bool { return true }}
	r := sweepAll(t, s.store, opts)
	if got := keysOf(t, s.store); r.Deleted != 0 || r.Locked == 0 || !slices.Equal(got, before) {
		t.Fatalf("%+v, %d of %d objects are left", r, len(got), len(before))
	}
	if n := s.store.Count(tier.OpDelete) - deletes; n > 50 {
		t.Fatalf("%d deletes were tried", n)
	}
	s.now = s.now.Add(1000 * time.Hour)
	if r = sweepAll(t, s.store, opts); r.Deleted != 99 || r.Locked != 0 {
		t.Fatalf("%+v", r)
	}
	if got := keysOf(t, s.store); len(got) != 100+2 { // checkpoints, the newest state and its tile
		t.Fatalf("%q", got)
	}
}

// TestSweepOfNoStates: who has not read what is published sweeps none.
func TestSweepOfNoStates(t *testing.T) {
	s := newStates()
	for size := uint64(1); size < 9; size++ {
		if err := s.publish(size, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.now = s.now.Add(1000 * time.Hour)
	before := keysOf(t, s.store)
	if r := sweepAll(t, s.store, tier.SweepOptions{Keep: func(string) bool { return true }}); r.Deleted != 0 {
		t.Fatalf("%+v", r)
	}
	// Nor those of more entries than are published: they may be about to be.
	if r := sweepAll(t, s.store, tier.SweepOptions{Published: 4, Keep: func(string) bool { return true }}); r.Deleted != 3 {
		t.Fatalf("%+v", r)
	}
	if got := keysOf(t, s.store); len(before)-len(got) != 3+3 {
		t.Fatalf("%q", got)
	}
}
