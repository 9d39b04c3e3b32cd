package node

import (
	"context"
	"slices"
	"time"
)

// repairWait is how long Scrub waits for repairs that it has set going.
const repairWait = 30 * time.Second

// findings are those whose repair somebody waits for; the fetcher does some, and step. All fields of a finding are
// guarded by the scrubber's mu while it is among them.
type findings map[findingKey][]*ScrubFinding

type findingKey struct{ what, segment string }

// watch has a finding told of repairs from now on, and unwatch no more.
func (s *scrubber) watch(what string, f *ScrubFinding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := findingKey{what, f.Segment}
	s.watched[key] = append(s.watched[key], f)
}

func (s *scrubber) unwatch(what string, f *ScrubFinding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := findingKey{what, f.Segment}
	s.watched[key] = slices.DeleteFunc(s.watched[key], func(o *ScrubFinding) bool { return o == f })
	if len(s.watched[key]) == 0 {
		delete(s.watched, key)
	}
}

// fill says what was found.
func (s *scrubber) fill(f *ScrubFinding, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Offset, f.Reason = placeOf(err)
}

// add says more of a finding.
func (s *scrubber) add(f *ScrubFinding, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Reason += "; " + reason
}

// mended counts that a good copy is in the place of a bad one, and settles what was found.
func (s *scrubber) mended(what string, f *ScrubFinding, from string) {
	s.metrics.repairs.WithLabelValues(what, repairSource(from)).Inc()
	s.log.Warn("damage repaired", "what", what, "segment", f.Segment, "from", from)
	s.settled(what, f, from)
}

// settled says of a finding, and of all that are watched of the same copy, that the copy is good.
func (s *scrubber) settled(what string, f *ScrubFinding, from string) {
	s.mu.Lock()
	f.Repaired, f.From = true, from
	for _, o := range s.watched[findingKey{what, f.Segment}] {
		o.Repaired, o.From = true, from
	}
	s.mu.Unlock()
	s.tell()
}

// tell wakes who waits for a repair.
func (s *scrubber) tell() {
	s.mu.Lock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	wake(s.wake)
}

// await waits for the repair of a finding, while there is one to be hoped for, and returns what is known of it then.
func (s *scrubber) await(ctx context.Context, what string, f *ScrubFinding) ScrubFinding {
	defer s.unwatch(what, f)
	for {
		pending := s.underRepair(what, f.Segment)
		s.mu.Lock()
		out, changed := *f, s.changed
		s.mu.Unlock()
		if out.Repaired || !pending || s.n.opts.Manual {
			if pending && !out.Repaired {
				out.Reason += "; it is being repaired"
			}
			return out
		}
		select {
		case <-changed:
		case <-ctx.Done():
			out.Reason += "; it is being repaired"
			return out
		}
	}
}

// underRepair says whether what was found of a segment may be repaired soon, by somebody else.
func (s *scrubber) underRepair(what, id string) bool {
	if what == whatObject {
		s.mu.Lock()
		defer s.mu.Unlock()
		b := s.bad[id]
		return b != nil && (b.asked || !b.next.IsZero() && !s.n.opts.Now().Before(b.next))
	}
	return what == whatFile && s.snapshots.doubts(id) && s.snapshots.repairable(len(s.snapshots.peers()) > 0)[id]
}
