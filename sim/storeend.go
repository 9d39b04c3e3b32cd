package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tier"
)

const (
	storeJump  = 25 * time.Minute // at once, of all clocks
	storeJumps = 3                // at least: together more than the age of what a sweep deletes, and than any retention
	storeTries = 60               // jumps at most: a node that has much to merge, and to upload then, takes long
	storeRest  = 2 * time.Second  // of simulated time, for what the nodes then do
)

// settleStore lets hours pass over the healed cluster. Everything that is recorded must get its object and be published,
// every damaged object must be repaired, and nothing else may be left in the store.
func (w *World) settleStore() {
	b := w.bucket
	if b == nil || w.failed != nil {
		return
	}
	left := ""
	for i := 0; i < storeTries && (i < storeJumps || left != ""); i++ {
		b.tidy()
		b.ahead += storeJump
		for _, r := range w.nodes {
			r.offset += storeJump
		}
		w.tell("%v pass", storeJump)
		until := w.now + storeRest
		w.run(func() bool { return w.now >= until })
		if w.failed != nil {
			return
		}
		left = b.leftOver()
	}
	if left != "" {
		w.violated("hours after the heal %s; %s", left, b.describe())
	}
}

// describe says how the nodes see the store.
func (b *bucket) describe() (out string) {
	for _, r := range b.w.nodes {
		if r.node != nil {
			out += fmt.Sprintf("node %d: %+v; ", r.id, r.node.TierStatus())
		}
	}
	return out
}

// leftOver says what is still to be done in the store; empty when nothing is.
func (b *bucket) leftOver() (left string) {
	recorded := b.recorded()
	objects := make(map[string]bool, len(recorded))
	for _, r := range recorded {
		if !r.Object.Exists() {
			return fmt.Sprintf("entries %d to %d have no object", r.FirstSeq, r.LastSeq)
		}
		objects[r.Object.Name] = true
	}
	if b.ailing() {
		return fmt.Sprintf("damaged objects are not repaired: %v", b.rotten)
	}
	if newest := b.watch.newest; len(recorded) > 0 && newest == nil {
		return "nothing is published"
	} else if newest != nil {
		if size := b.candidate(); newest.State.TreeSize < size {
			return fmt.Sprintf("%d entries are published of %d that could be", newest.State.TreeSize, size)
		}
		for i := range newest.State.Segments {
			if o := newest.State.Segments[i].Object; !objects[o.Name] {
				return fmt.Sprintf("what is published names object %s, which is not recorded", o.Name)
			}
		}
	}
	b.raw(func(s tier.Store) { left = b.orphans(s, objects) })
	return left
}

// candidate is the size of the newest state that could be published, as far as every node knows it.
func (b *bucket) candidate() (size uint64) {
	for i, r := range b.w.nodes {
		if r.node == nil {
			continue
		}
		var has uint64
		if c := r.node.Ledger().Candidate(); c != nil {
			has = c.TreeSize
		}
		if i == 0 || has < size {
			size = has
		}
	}
	return size
}

// orphans says what is in the store that nobody needs.
func (b *bucket) orphans(s tier.Store, objects map[string]bool) string {
	ctx := context.Background()
	for _, prefix := range []string{tier.SegmentPrefix, tier.ScratchPrefix} {
		page, err := s.List(ctx, prefix, "", 0)
		if err != nil {
			return err.Error()
		}
		for _, o := range page.Objects {
			if !objects[o.Key] {
				return fmt.Sprintf("object %s of %v is left over, and the store's clock shows %v", o.Key, o.Modified, b.clock())
			}
		}
	}
	page, err := s.Uploads(ctx, "", tier.Upload{}, 0)
	if err != nil {
		return err.Error()
	}
	if len(page.Uploads) > 0 {
		return fmt.Sprintf("an upload of %s is left open", page.Uploads[0].Key)
	}
	return ""
}

// check holds the store of the converged cluster against what is recorded, and what was published against the ledger. What
// the archive gives must be that.
func (b *bucket) check(first *replica, versions [][]version) {
	w := b.w
	recorded := first.node.Ledger().Recorded()
	for _, r := range recorded {
		if r.Object.Exists() {
			b.watch.object(r.Object)
		}
	}
	for _, r := range w.nodes {
		if r.node != nil {
			b.checkPlaces(r, recorded)
		}
	}
	for _, p := range b.watch.published {
		if root, err := first.node.Ledger().RootAt(p.size); err != nil || root != p.root {
			w.violated("%d entries were published with root %v, and have %v: %v", p.size, p.root, root, err)
			return
		}
	}
	if w.failed == nil && b.watch.newest != nil {
		b.restore(versions)
	}
}

// checkPlaces: every segment of a node is in a file or in an object, and all nodes know of the same objects.
func (b *bucket) checkPlaces(r *replica, recorded []manifest.Recorded) {
	own := r.node.Ledger().Recorded()
	if len(own) != len(recorded) {
		b.w.violated("node %d has %d recorded segments, another one %d", r.id, len(own), len(recorded))
		return
	}
	for i := range own {
		if own[i] != recorded[i] {
			b.w.violated("node %d has recorded %+v, another one %+v", r.id, own[i], recorded[i])
		}
	}
	for _, p := range r.node.Ledger().Placed() {
		if p.Cold && !p.Object.Exists() {
			b.w.violated("node %d has entries %d to %d in no file and no object", r.id, p.FirstSeq, p.LastSeq)
		}
	}
}
