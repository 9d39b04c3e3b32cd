package node

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// A read that meets damage in an object says so to its client, and the scrubber of the node that it came to looks at that
// object, and at the meta tail kept of it, next. It is not the leader's alone: he may have the file, and read no object.

// objectDamaged takes note of damage that was met in an object. For any goroutine.
func (n *Node) objectDamaged(err error) {
	if id := suspectOf(err, n.scrub.store); id != "" {
		n.scrub.suspect(id)
	}
}

// suspectOf is the segment that damage of an object is of; empty when that is not known.
func suspectOf(err error, store tier.Store) string {
	if cold := (*ledger.ColdError)(nil); errors.As(err, &cold) {
		return cold.Segment
	}
	var corrupt *vfs.CorruptError
	if store == nil || !errors.As(err, &corrupt) {
		return ""
	}
	p, err := tier.ParseSegmentName(strings.TrimPrefix(corrupt.File, store.Name()+"/"))
	if err != nil {
		return ""
	}
	return tlog.SegmentID(p.FirstSeq, p.LastSeq)
}

// suspect has a segment looked at next, if that was not done within scrubPause. For any goroutine.
func (s *scrubber) suspect(id string) {
	now := s.n.opts.Now()
	s.mu.Lock()
	_, known := s.suspects[id]
	if known = known || s.bad[id] != nil; !known {
		s.suspects[id] = now
		if until := s.looked[id]; now.Before(until) {
			s.suspects[id] = until
		}
	}
	s.mu.Unlock()
	if !known {
		s.log.Warn("a read met damage in an object, which is looked at", "segment", id)
		wake(s.wake)
	}
}

// suspectStep looks at a segment in whose object damage was met, and says whether there was one.
func (s *scrubber) suspectStep(now time.Time) bool {
	s.mu.Lock()
	id := ""
	for _, other := range slices.Sorted(maps.Keys(s.suspects)) {
		if !now.Before(s.suspects[other]) {
			id = other
			break
		}
	}
	delete(s.suspects, id)
	maps.DeleteFunc(s.looked, func(_ string, until time.Time) bool { return !now.Before(until) })
	if id != "" {
		s.looked[id] = now.Add(scrubPause)
	}
	s.mu.Unlock()
	if id == "" {
		return false
	}
	copies := s.n.ledger.Copies()
	if i := slices.IndexFunc(copies, func(c ledger.Copy) bool { return c.ID == id && c.Meta }); i >= 0 {
		if f, _ := s.checkFile(s.ctx, copies[i], s.pace); f != nil {
			s.unwatch(whatMeta, f)
		}
	}
	if o, outdated := s.n.ledger.Outdated(id); outdated && s.store != nil {
		s.checkOutdated(id, o)
		return true
	}
	objects := s.n.ledger.Objects()
	if i := slices.IndexFunc(objects, func(r manifest.Recorded) bool { return objectID(r) == id }); i >= 0 && s.store != nil {
		f, err := s.checkObject(s.ctx, objects[i], s.pace)
		if f != nil {
			s.unwatch(whatObject, f)
		}
		if err != nil && s.ctx.Err() == nil {
			s.suspect(id) // again, after a while
		}
	}
	return true
}

// checkOutdated looks at an object that only members which lag behind a merge still need, this one among them. The merge
// cannot be built of what is damaged, nor can anybody make the object anew: the others have merged its segment, and it may
// have been swept. They have the merge, though, as the log has recorded it, so this member takes their state.
func (s *scrubber) checkOutdated(id string, o manifest.Object) {
	damage, err := s.readObject(s.ctx, o, s.pace)
	again := damage
	if damage != nil { // in the store, or on the way?
		again, err = s.readObject(s.ctx, o, s.pace)
	}
	switch _, outdated := s.n.ledger.Outdated(id); {
	case !outdated || s.ctx.Err() != nil:
	case err != nil || again != nil && (again.Reason != damage.Reason || s.mergeComes(id)):
		s.suspect(id) // again, after a while
	case again != nil && len(s.n.otherMembers()) > 0:
		s.metrics.copies.WithLabelValues(whatObject).Inc()
		damage.Reason = "the segment is merged elsewhere and was not here, which takes this object: " + damage.Reason
		s.n.fail(damage)
	}
}

// mergeComes says of a segment that the log has merged away whether the merge is in the store, and good, as far as this member
// knows. When it leads, and finds that the merge's object is damaged, it has no file to make it good with, and nobody else does
// that. When it does not lead, the leader does.
func (s *scrubber) mergeComes(id string) bool {
	first, last, err := tlog.ParseSegmentID(id)
	if err != nil {
		return false
	}
	now, ok := s.n.ledger.Holder(manifest.Range{FirstSeq: first, LastSeq: last})
	if !ok || !now.Object.Exists() {
		return false
	}
	if !s.leads() || !s.distrusts(objectID(now)) {
		return true
	}
	damage, err := s.readObject(s.ctx, now.Object, s.pace)
	if damage == nil && err == nil { // another leader has made it good
		s.forget(objectID(now))
	}
	return damage == nil
}
