package ledger

import (
	"math/bits"

	"github.com/scribe-ledger/scribe/manifest"
)

// planned is a recorded segment, as the plan sees it.
type planned struct {
	manifest.Range
	bytes uint64
	free  bool // it may be merged: it is here as it was recorded, and no merge of it is pending
}

// planLimits bound what a plan merges.
type planLimits struct {
	fanIn      int    // the fewest segments that become one
	maxFanIn   int    // the most
	maxBytes   uint64 // of the segment that is made
	maxEntries uint64
}

// planMerges says which neighbours are to become one, at most room merges, the most useful first. It is a function of
// its arguments.
//
// Neighbours are merged where none of them is large beside all together: the whole is at least three quarters of fanIn
// times the largest. So every merge puts each of its entries into a segment that is so many times as large, and no entry
// is written more often than the logarithm of what there is; and where nothing more can be merged, sizes mostly fall off
// from the old end to the new, so that the segments are about as many. Sizes in an unlucky order could leave more: maxFanIn
// neighbours are merged whatever their sizes. Of several such places that with the smallest segments comes first: it costs
// least and makes the most of them.
func planMerges(parts []planned, limits planLimits, room int) []manifest.Range {
	parts = append([]planned(nil), parts...)
	var out []manifest.Range
	for len(out) < room {
		from, n := bestWindow(parts, limits)
		if n == 0 {
			break
		}
		out = append(out, span(parts[from:from+n]))
		for i := range n {
			parts[from+i].free = false
		}
	}
	return out
}

func span(parts []planned) manifest.Range {
	return manifest.Range{FirstSeq: parts[0].FirstSeq, LastSeq: parts[len(parts)-1].LastSeq}
}

// bestWindow returns where the best merge begins, and of how many; 0 for none.
func bestWindow(parts []planned, limits planLimits) (from, n int) {
	bestTier := 0
	for i := range parts {
		var total, largest uint64
		for k := 1; k <= limits.maxFanIn && i+k <= len(parts); k++ {
			p := &parts[i+k-1]
			total += p.bytes
			largest = max(largest, p.bytes)
			if !p.free || total > limits.maxBytes || p.LastSeq-parts[i].FirstSeq >= limits.maxEntries {
				break
			}
			if k < limits.fanIn || k < limits.maxFanIn && 4*total < 3*uint64(limits.fanIn)*largest {
				continue
			}
			// Of one tier, and of as many, the oldest: it was found first.
			if tier := bits.Len64(largest); n == 0 || tier < bestTier || tier == bestTier && k > n {
				from, n, bestTier = i, k, tier
			}
		}
	}
	return from, n
}

// planAll says which neighbours are to become one so that as few are left as the limits allow, the oldest first.
func planAll(parts []planned, limits planLimits, room int) []manifest.Range {
	var out []manifest.Range
	for i := 0; i < len(parts) && len(out) < room; {
		n, total := 0, uint64(0)
		for n < limits.maxFanIn && i+n < len(parts) {
			p := &parts[i+n]
			total += p.bytes
			if !p.free || total > limits.maxBytes || p.LastSeq-parts[i].FirstSeq >= limits.maxEntries {
				break
			}
			n++
		}
		if n > 1 {
			out = append(out, span(parts[i:i+n]))
		}
		i += max(n, 1)
	}
	return out
}

// planInput returns the recorded segments with what this replica knows of them. One that is not here in this very form,
// because it is still to be built or because the log is being replayed, is not free.
func planInput(p *partition, state *manifest.State) []planned {
	out := make([]planned, len(p.recorded))
	segments, merges := state.Segments, p.merges
	for i, r := range p.recorded {
		out[i].Range = manifest.Range{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq}
		for len(segments) > 0 && segments[0].LastSeq < r.FirstSeq {
			segments = segments[1:]
		}
		for len(merges) > 0 && merges[0].LastSeq < r.FirstSeq {
			merges = merges[1:]
		}
		if len(segments) == 0 {
			continue
		}
		g := &segments[0]
		out[i].bytes = g.Bytes
		out[i].free = g.FirstSeq == r.FirstSeq && g.LastSeq == r.LastSeq &&
			(len(merges) == 0 || merges[0].FirstSeq > r.LastSeq)
	}
	return out
}
