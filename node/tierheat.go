package node

import (
	"time"

	"github.com/scribe-ledger/scribe/ledger"
)

// heatWindow is how far back reads of a segment count, about.
const heatWindow = 10 * time.Minute

// heat remembers how often each segment was read of late, as far as the rounds of the daemon have looked.
type heat struct {
	since    time.Time // the present window's beginning
	segments map[uint64]*segmentHeat
}

// segmentHeat is that of the segment which begins at a seq. One that was merged begins anew.
type segmentHeat struct {
	last uint64 // seq; with the first it names the segment
	seen uint64 // reads that the ledger had counted when it was last looked at
	cold bool   // where the segment was then
	// Reads in this window and in the one before, in all, and while the segment was cold.
	now, before         uint64
	coldNow, coldBefore uint64
	listed              bool // in the present look
}

func newHeat() heat { return heat{segments: make(map[uint64]*segmentHeat)} }

// look takes note of what the ledger has counted.
func (h *heat) look(placed []ledger.Placed, now time.Time) {
	turns := 0
	switch passed := now.Sub(h.since); {
	case h.since.IsZero() || passed < 0 || passed >= 2*heatWindow:
		turns, h.since = 2, now
	case passed >= heatWindow:
		turns, h.since = 1, h.since.Add(heatWindow)
	}
	for i := range placed {
		p := &placed[i]
		s := h.segments[p.FirstSeq]
		if s == nil || s.last != p.LastSeq {
			s = &segmentHeat{last: p.LastSeq, cold: p.Cold}
			h.segments[p.FirstSeq] = s
		}
		s.listed = true
		for range turns {
			s.before, s.now, s.coldBefore, s.coldNow = s.now, 0, s.coldNow, 0
		}
		read := p.Reads - min(s.seen, p.Reads)
		if p.Reads < s.seen { // counted anew, by another table
			read = p.Reads
		}
		s.seen = p.Reads
		s.now += read
		if !p.Cold || !s.cold {
			s.coldNow, s.coldBefore = 0, 0
		} else {
			s.coldNow += read
		}
		s.cold = p.Cold
	}
	for first, s := range h.segments {
		if !s.listed {
			delete(h.segments, first)
		}
		s.listed = false
	}
}

// moved says that a segment was given up or fetched: what it was read before that counts for neither any more.
func (h *heat) moved(first uint64) {
	if s := h.segments[first]; s != nil {
		s.coldNow, s.coldBefore = 0, 0
	}
}

// of is about how many reads a segment has had within the window, and how many of them while it was cold.
func (h *heat) of(first uint64, now time.Time) (reads, cold uint64) {
	s := h.segments[first]
	if s == nil {
		return 0, 0
	}
	part := 1 - min(1, max(0, float64(now.Sub(h.since))/float64(heatWindow)))
	return s.now + uint64(part*float64(s.before)), s.coldNow + uint64(part*float64(s.coldBefore))
}
