package ledger

import (
	"errors"
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestAdoptBeforePending: a replica that has slept through a merge, and whose inputs are swept, takes the merge from the
// store, though a larger one is pending by then that it could not build of them; meanwhile reads of them fail as those of a
// store that is away, and the owner is told.
func TestAdoptBeforePending(t *testing.T) {
	c, store := merging(t)
	decide := func() {
		t.Helper()
		wants := c.leader.l.MergesLeft(true)
		if len(wants) != 1 {
			t.Fatalf("%d merges", len(wants))
		}
		c.apply(wants[0].Data)
	}
	told := 0
	c.follower.l.opts.ObjectDamaged = func(error) { told++ }

	decide()
	c.merge(c.leader)
	inputs := store.held
	store.held = map[string][]byte{}
	readsFail := func() {
		t.Helper()
		for k := range 6 {
			key := fmt.Sprintf("k/%d", k)
			_, err := c.follower.l.Get([]byte(key), Selector{})
			if err != nil && (!errors.As(err, new(*ColdError)) || errors.As(err, new(*vfs.CorruptError))) {
				t.Fatalf("%s: %v", key, err)
			}
		}
		if told == 0 {
			t.Fatal("the owner was not told")
		}
	}
	readsFail()
	c.upload(store, c.leader)
	readsFail() // until the compactor comes round
	for name := range inputs {
		if store.held[name] != nil {
			t.Fatalf("%s is there again", name)
		}
	}
	for i := range 2 {
		c.segment(2+i, true)
	}
	c.upload(store, c.leader)
	decide()
	if err := compactAll(c.follower.l); err != nil {
		t.Fatal(err)
	}
	c.merge(c.leader)
	if err := compactAll(c.follower.l); err != nil {
		t.Fatal(err)
	}
	if !c.follower.l.MergesDone() || len(c.follower.l.MergedRoots()) > 0 {
		t.Fatal("the merge is not done")
	}
	got := content(t, c.follower.l)
	for key, value := range content(t, c.leader.l) {
		if got[key] != value {
			t.Fatalf("%s is %q, want %q", key, got[key], value)
		}
	}
}
