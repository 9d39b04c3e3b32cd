package ledger

import (
	"context"
	"sync"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
)

// plans keeps the plan for the state that it was made for: it is asked for more often than the state changes.
type plans struct {
	mu        sync.Mutex
	state     *manifest.State
	partition *partition
	fanIn     int
	ranges    []manifest.Range

	unsettled unsettled
}

// maxMergeInputs bounds how many segments become one: each is read through a block of its own.
const maxMergeInputs = 64

// WantedMerges returns the merges of neighbouring segments that are due, the most useful first. While writes come fast,
// CompactFanIn times 4 segments make one, since each entry is merged the fewer times the wider merges are; what then
// stands at CompactFanIn or more is merged when they have slowed down.
func (l *Ledger) WantedMerges() []Want {
	if l.opts.CompactFanIn < 0 || l.absent.Load() {
		return nil
	}
	p, state, limits := l.partition.Load(), l.peek().state, l.planLimits()
	if l.pace.fast(l.opts.Now()) {
		limits.fanIn = min(busyFanIn*limits.fanIn, limits.maxFanIn)
	}
	c := &l.plans
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != state || c.partition != p || c.fanIn != limits.fanIn {
		c.state, c.partition, c.fanIn = state, p, limits.fanIn
		c.ranges = planMerges(planInput(p, state), limits, manifest.MaxMerges-len(p.merges))
	}
	return mergeWants(c.ranges)
}

func (l *Ledger) planLimits() planLimits {
	fanIn := l.opts.CompactFanIn
	if fanIn < 0 {
		fanIn = defaultFanIn // for who asks for it
	}
	fanIn = max(fanIn, 2)
	return planLimits{fanIn: fanIn, maxFanIn: maxMergeInputs, maxBytes: uint64(l.opts.CompactMaxBytes),
		maxEntries: sstable.MaxEntries}
}

// MergesLeft returns the commands of the merges that are due: by the plan, or, with all set, those after which as few
// segments are left as the limits allow. What is pending already is not among them.
func (l *Ledger) MergesLeft(all bool) []Want {
	p, limits, plan := l.partition.Load(), l.planLimits(), planMerges
	if all {
		plan = planAll
	}
	return mergeWants(plan(planInput(p, l.peek().state), limits, manifest.MaxMerges-len(p.merges)))
}

// mergeWants encodes anew each time: the log owns what was proposed.
func mergeWants(ranges []manifest.Range) (out []Want) {
	for _, r := range ranges {
		out = append(out, Want{Key: WantKey{Kind: kindMerge, First: r.FirstSeq, Last: r.LastSeq}, Data: encodeMerge(r)})
	}
	return out
}

// MergesDone says whether every merge that the log has decided is recorded, and done here.
func (l *Ledger) MergesDone() bool {
	p, v := l.partition.Load(), l.peek()
	if len(p.merges) > 0 {
		return false
	}
	segments := v.state.Segments
	for _, r := range p.recorded {
		for len(segments) > 0 && segments[0].LastSeq < r.FirstSeq {
			segments = segments[1:]
		}
		if len(segments) > 0 && segments[0].LastSeq < r.LastSeq {
			return false
		}
	}
	return true
}

// WaitMerges waits until MergesDone. It gives up with the context's error, with ErrClosed, or with the compactor's error
// when that is one that waiting does not cure.
func (l *Ledger) WaitMerges(ctx context.Context) error {
	return l.waitFor(ctx, l.compactor, l.MergesDone)
}

// CompactError is what the last step of the compactor met; nil when it went well.
func (l *Ledger) CompactError() error {
	return l.compactor.lastError()
}

// SegmentsOf returns the ids of the segments that merging has made of those listed in before.
func (l *Ledger) SegmentsOf(before []SegmentInfo) (ids []string, merged int) {
	v := l.peek()
	for _, g := range v.state.Segments {
		n := 0
		for _, b := range before {
			if b.FirstSeq >= g.FirstSeq && b.LastSeq <= g.LastSeq {
				n++
			}
		}
		if n > 1 {
			ids, merged = append(ids, tlog.SegmentID(g.FirstSeq, g.LastSeq)), merged+n
		}
	}
	return ids, merged
}
