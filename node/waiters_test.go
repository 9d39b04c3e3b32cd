package node

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/raft"
)

// TestWaiters plays a node that leads now and then, whose entries stand at places that others take, against a plain list
// of who waits where. What is applied decides, in order; a proposal is found, or lost, exactly when its index is applied.
func TestWaiters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w waiters
		type place struct {
			at raft.Position
			p  *proposal
		}
		var waiting []place
		applied, term := uint64(0), uint64(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "lead") {
				term += rapid.Uint64Range(1, 2).Draw(t, "terms")
				first := raft.Position{Index: applied + rapid.Uint64Range(1, 6).Draw(t, "behind"), Term: term}
				for range rapid.IntRange(1, 3).Draw(t, "batches") {
					batch := make([]*proposal, rapid.IntRange(1, 3).Draw(t, "batch"))
					for i := range batch {
						batch[i] = newProposal(nil)
						waiting = append(waiting, place{raft.Position{Index: first.Index + uint64(i), Term: term}, batch[i]})
					}
					w.add(first, batch)
					first.Index += uint64(len(batch))
				}
				continue
			}
			if rapid.IntRange(0, 5).Draw(t, "snapshot") == 0 {
				applied += rapid.Uint64Range(1, 4).Draw(t, "far")
				skipped := w.skip(applied)
				waiting = slices.DeleteFunc(waiting, func(x place) bool {
					if x.at.Index > applied {
						return false
					}
					if !slices.Contains(skipped, x.p) {
						t.Fatalf("the proposal at %v is not skipped by a snapshot at %d", x.at, applied)
					}
					return true
				})
				continue
			}
			applied++
			at := raft.Position{Index: applied, Term: rapid.Uint64Range(1, term+1).Draw(t, "term")}
			p, lost := w.pop(at)
			var want *proposal
			wantLost := 0
			waiting = slices.DeleteFunc(waiting, func(x place) bool {
				switch {
				case x.at.Index > applied:
					return false
				case x.at == at:
					want = x.p
				default:
					wantLost++
					if !slices.Contains(lost, x.p) {
						t.Fatalf("%v is applied, and the proposal at %v is not lost", at, x.at)
					}
				}
				return true
			})
			if p != want || len(lost) != wantLost {
				t.Fatalf("at %v: found %v, want %v; %d lost, want %d", at, p != nil, want != nil, len(lost), wantLost)
			}
		}
		if w.empty() != (len(waiting) == 0) {
			t.Fatalf("%d wait, and empty says %v", len(waiting), w.empty())
		}
	})
}

// TestWaitersDropAfter: who waits for what nobody will tell of is answered, who waits for what is committed waits on.
func TestWaitersDropAfter(t *testing.T) {
	var w waiters
	batch := []*proposal{newProposal(nil), newProposal(nil), newProposal(nil)}
	w.add(raft.Position{Index: 4, Term: 1}, batch)
	late := newProposal(nil)
	w.add(raft.Position{Index: 6, Term: 2}, []*proposal{late}) // displaces the third
	w.dropAfter(5, &Unavailable{Reason: OutcomeUnknown})
	for i, p := range append(batch, late) {
		if answered := len(p.done) == 1; answered != (i >= 2) {
			t.Errorf("proposal %d: answered %v", i, answered)
		}
	}
	if p, _ := w.pop(raft.Position{Index: 4, Term: 1}); p != batch[0] {
		t.Error("the first waits no more")
	}
}
