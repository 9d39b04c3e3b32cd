package ledger

import (
	"slices"

	"github.com/scribe-ledger/scribe/manifest"
)

// partsOf returns what a state that comes from another member is staged as: its segments, but where the same entries
// stand in this ledger's segments, merged more or less than there, these. So a replica fetches nothing that it has, only
// because the other one has merged it, or has not. The roots of its own were agreed on when the log recorded them; what
// is to be merged yet it merges itself. Own segments in doubt, and those of a ledger that is rebuilt, do not count.
func (l *Ledger) partsOf(state *manifest.State, doubt map[string]bool) (parts []*stagedPart) {
	var own []manifest.Segment
	var tables []*table
	if v, err := l.acquire(); err == nil {
		defer v.release()
		own, tables = v.state.Segments, v.tables
	}
	doubted := func(g manifest.Segment) bool { return doubt[infoOf(g).ID] }
	for theirs := state.Segments; len(theirs) > 0; {
		m, n := commonEnd(own, theirs)
		if m > 0 && m+n > 2 && !slices.ContainsFunc(own[:m], doubted) {
			for i, g := range own[:m] {
				tables[i].refs.Add(1)
				parts = append(parts, &stagedPart{want: g, table: tables[i]})
			}
		} else {
			for _, g := range theirs[:n] {
				parts = append(parts, &stagedPart{want: g})
			}
		}
		own, tables, theirs = own[m:], tables[m:], theirs[n:]
	}
	return parts
}

// commonEnd returns how many segments of each of two lists that begin at one seq also end at one, the fewest; 0 and all
// of theirs where they do not.
func commonEnd(own, theirs []manifest.Segment) (m, n int) {
	for i, j := 0, 0; i < len(own) && j < len(theirs); {
		switch a, b := own[i].LastSeq, theirs[j].LastSeq; {
		case a == b:
			return i + 1, j + 1
		case a < b:
			i++
		default:
			j++
		}
	}
	return 0, len(theirs)
}
