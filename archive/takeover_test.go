package archive_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/tier"
)

// as publishes a state for a cluster.
func (h *history) as(cluster string, s tier.Store, size uint64, ends ...uint64) error {
	p := h.publication(h.state(size, ends...))
	p.Cluster = cluster
	return archive.Publish(context.Background(), s, p)
}

func takeOver(s tier.Store, cluster string) (archive.Latest, error) {
	return archive.TakeOver(context.Background(), s, func(archive.Latest) string { return cluster })
}

func mustOwn(t testing.TB, s tier.Store, cluster string, since uint64) archive.Latest {
	t.Helper()
	now, err := archive.ReadLatest(context.Background(), s)
	must(t, err)
	if now.Owner.Cluster != cluster || now.Owner.Since != since {
		t.Fatalf("the owner is %+v, want %s since %d", now.Owner, cluster, since)
	}
	return now
}

// TestOwner: the first cluster that publishes owns the archive, and others publish nothing, until one takes it over. What is
// published stays the same by that, for a reader as well.
func TestOwner(t *testing.T) {
	s := claimed(t, tier.MemOptions{})
	h := newHistory().grow(900, 0)
	must(t, h.publish(s, 100)) // by nobody, as before there were owners
	mustOwn(t, s, "", 0)
	must(t, h.as("old", s, 100)) // the same state is taken, too
	mustOwn(t, s, "old", 2)
	must(t, h.as("old", s, 100))
	must(t, h.as("old", s, 500, 100))
	before := mustOwn(t, s, "old", 2)
	if before.Version != 3 {
		t.Fatalf("%+v", before)
	}
	objects := contents(t, s)
	var owned *archive.OwnerError
	for name, err := range map[string]error{
		"further":     h.as("new", s, 900, 100, 500),
		"the same":    h.as("new", s, 500, 100),
		"behind":      h.as("new", s, 100),
		"parted":      h.fork(100).grow(900, 1).as("new", s, 900, 100),
		"of nobody":   h.publish(s, 900, 100, 500),
		"nobody same": h.publish(s, 500, 100),
	} {
		if !errors.As(err, &owned) || owned.Owner != before.Owner || owned.Store != "mem" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !maps.Equal(objects, contents(t, s)) {
		t.Error("the store has changed")
	}
	taken, err := takeOver(s, "new")
	must(t, err)
	want := before
	want.Version, want.Owner = 4, archive.Owner{Cluster: "new", Since: 4, Restored: before.ManifestSHA256}
	if taken != want || mustOwn(t, s, "new", 4) != want {
		t.Fatalf("%+v, want %+v", taken, want)
	}
	again, err := takeOver(s, "new")
	must(t, err)
	if again != taken || mustOwn(t, s, "new", 4) != taken {
		t.Fatalf("%+v", again)
	}
	p, err := archive.Read(t.Context(), s)
	must(t, err)
	if p.State.TreeSize != 500 || p.Version != 4 || p.Owner != want.Owner {
		t.Fatalf("%+v", p)
	}
	if err := h.as("old", s, 900, 100, 500); !errors.As(err, &owned) || owned.Owner.Cluster != "new" || owned.Own != "old" {
		t.Fatal(err)
	}
	must(t, h.as("new", s, 800, 100, 500))
	mustOwn(t, s, "new", 4)
	if left, err := takeOver(s, ""); err != nil || left.Owner.Cluster != "new" {
		t.Fatalf("%+v, %v", left, err)
	}
	if _, err := takeOver(claimed(t, tier.MemOptions{}), "new"); !errors.Is(err, archive.ErrNothingPublished) {
		t.Fatal(err)
	}
}

// TestTakenWhilePublishing takes the archive over between any two requests of a publisher. It has published before, or not
// at all: what was taken over stays the newest state until the new owner publishes.
func TestTakenWhilePublishing(t *testing.T) {
	for at := 0; ; at++ {
		h := newHistory().grow(1000, 0)
		s := claimed(t, tier.MemOptions{})
		must(t, h.as("old", s, 400))
		var taken archive.Latest
		b := &between{Store: s, at: at, do: func() {
			var err error
			taken, err = takeOver(s, "new")
			must(t, err)
		}}
		err := h.as("old", b, 800, 400, 600)
		if b.at >= 0 {
			if at < 10 {
				t.Fatalf("only %d requests", at)
			}
			return
		}
		var owned *archive.OwnerError
		if taken.TreeSize == 400 && !errors.As(err, &owned) || taken.TreeSize == 800 && err != nil {
			t.Fatalf("at %d: %d entries were taken over: %v", at, taken.TreeSize, err)
		}
		if now := mustOwn(t, s, "new", taken.Version); now != taken {
			t.Fatalf("at %d: taken over was %+v, and now it is %+v: %v", at, taken, now, err)
		}
		if got := mustRead(t, s); got != taken.TreeSize {
			t.Fatalf("at %d: %d entries are published", at, got)
		}
	}
}

// TestTakeOverCut ends a take-over at each of its requests, done or not done, and lets publishers, and others that take it
// over, come between. One owner comes of it, of what is published then.
func TestTakeOverCut(t *testing.T) {
	for _, kind := range []tier.FaultKind{tier.Refused, tier.AnswerLost} {
		for at := range int64(2) {
			t.Run(fmt.Sprintf("%v at %d", kind, at), func(t *testing.T) {
				end := int64(-1)
				s := claimed(t, tier.MemOptions{Faults: func(q tier.Request) tier.Fault {
					if q.N == end {
						return tier.Fault{Kind: kind}
					}
					return tier.Fault{}
				}})
				must(t, newHistory().grow(400, 0).as("old", s, 400))
				end = requests(s) + at
				if _, err := takeOver(s, "new"); err == nil {
					t.Fatal("nothing was cut")
				}
				end = -1
				now, err := takeOver(s, "new")
				must(t, err)
				if mustOwn(t, s, "new", 2) != now || now.Version != 2 {
					t.Fatalf("%+v", now)
				}
			})
		}
	}
	for _, second := range []string{"published", "new", "other"} {
		h := newHistory().grow(800, 0)
		s := claimed(t, tier.MemOptions{})
		must(t, h.as("old", s, 400))
		asked := 0
		b := &between{Store: s, at: 1, do: func() {
			if second == "published" {
				must(t, h.as("old", s, 800, 400))
			} else if _, err := takeOver(s, second); err != nil {
				t.Fatal(err)
			}
		}}
		now, err := archive.TakeOver(t.Context(), b, func(l archive.Latest) string {
			asked++
			return "new"
		})
		must(t, err)
		if now.Owner.Cluster != "new" || asked != 2 || second == "published" && now.TreeSize != 800 || mustOwn(t, s, "new",
			now.Owner.Since) != now {
			t.Fatalf("%s between: %+v, asked %d times", second, now, asked)
		}
	}
}
