package ledger

import (
	"fmt"

	"github.com/scribe-ledger/scribe/manifest"
)

// What is published of a ledger is the state at one of its seal points, with the segments that its entries are in by now.
// Those have been merged since, perhaps, and the log recorded them and their objects behind the seal point. So a ledger that
// is restored from it has segments that its log has not recorded: it records them anew (restored.go).

// DefaultOrigin is the origin of a ledger's checkpoints, unless Options say otherwise.
func DefaultOrigin(ledgerID string) string { return "scribe/" + ledgerID }

// Candidate returns the state that the manifest on disk holds: that of the newest seal point whose segments are installed
// here. Its owner keeps it until Archive gives what to publish of it, which may take until all its segments have objects.
// nil while there is none.
func (l *Ledger) Candidate() *manifest.State {
	if l.absent.Load() {
		return nil
	}
	if state := l.peek().state; state.TreeSize > 0 {
		return state
	}
	return nil
}

// Archive returns the state to publish of a candidate: its seal point, with the segments that hold its entries now, each
// with its object and nowhere else. It returns nil while one of them is not recorded, has no object, or is not installed
// here. swallowed: a merge has joined entries of both sides of the seal point, so there never will be one; another candidate
// is to be taken.
func (l *Ledger) Archive(candidate *manifest.State) (state *manifest.State, swallowed bool, err error) {
	p, installed := l.partition.Load(), l.peek().state
	size := candidate.TreeSize
	if size == 0 || p.through() < size {
		return nil, false, nil
	}
	if last := p.recorded[p.holder(size-1)]; last.LastSeq >= size {
		return nil, true, nil
	}
	out := *candidate
	out.Segments, out.Recorded, out.Merges = nil, nil, nil
	objects := make(map[manifest.Range]manifest.Recorded)
	for _, r := range p.recorded[:p.holder(size-1)+1] {
		g, ok := installed.Segment(r.FirstSeq)
		if !r.Object.Exists() || !ok || g.FirstSeq != r.FirstSeq || g.LastSeq != r.LastSeq || g.Root != r.Root {
			return nil, false, nil
		}
		g.Tier, g.Object, g.Bytes = manifest.Cold, r.Object, r.Object.Bytes
		out.Segments = append(out.Segments, g)
		objects[manifest.Range{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq}] = r
	}
	// What was recorded is as of the seal point, as the entries before it say. Objects of segments that were merged since may
	// be gone; merges that were decided there, and not recorded, are decided anew.
	for _, r := range candidate.Recorded {
		r.Object = manifest.Object{}
		if now, ok := objects[manifest.Range{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq}]; ok && now.Root == r.Root {
			r.Object = now.Object
		}
		out.Recorded = append(out.Recorded, r)
	}
	if err := out.Validate(); err != nil {
		return nil, false, fmt.Errorf("ledger: what is to be published of %d entries: %w", size, err)
	}
	return &out, false, nil
}
