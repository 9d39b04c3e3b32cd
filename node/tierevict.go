package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
)

// placement is a segment whose file is to go, or to come back.
type placement struct {
	id    string
	bytes uint64 // of the file, or of the object
	reads uint64
	first uint64
}

// fetchWait bounds how long one object may take to come back; what has come of it is not lost.
const fetchWait = 10 * time.Minute

// planMoves decides which files are to go from here, and which to come back.
func (t *tiering) planMoves(now time.Time) {
	placed := t.n.ledger.Placed()
	t.heat.look(placed, now)
	t.evictions, t.fetches = nil, nil
	var local uint64
	for i := range placed {
		if !placed[i].Cold {
			local += placed[i].Bytes
		}
	}
	limit := uint64(max(0, t.opts.MaxLocalBytes))
	if limit > 0 && local > limit {
		t.planEvictions(placed, local-limit, now)
	} else {
		room := ^uint64(0)
		if limit > 0 {
			room = limit - local
		}
		t.planFetches(placed, min(room, t.roomHere()), now)
	}
	if len(t.evictions) == 0 {
		t.met(jobEvict, nil)
	}
	if len(t.fetches) == 0 {
		t.met(jobFetch, nil)
	}
}

// planEvictions chooses the files that are to make so much room: the least read ones, of equals the oldest.
func (t *tiering) planEvictions(placed []ledger.Placed, over uint64, now time.Time) {
	for _, p := range t.evictable(placed) {
		if !now.Before(time.UnixMicro(p.LastTime).Add(t.opts.MinAge)) {
			t.evictions = append(t.evictions, t.placement(p, now))
		}
	}
	slices.SortFunc(t.evictions, func(a, b placement) int {
		return cmp.Or(cmp.Compare(a.reads, b.reads), cmp.Compare(a.first, b.first))
	})
	for i, p := range t.evictions {
		if p.bytes >= over {
			t.evictions = t.evictions[:i+1]
			return
		}
		over -= p.bytes
	}
}

// evictable are the segments whose files may go: there is an object, which the scrubber does not know to be damaged, and no
// pin.
func (t *tiering) evictable(placed []ledger.Placed) (out []*ledger.Placed) {
	for i := range placed {
		if p := &placed[i]; !p.Cold && p.Object.Exists() && !t.pinned(p) &&
			!t.n.scrub.distrusts(tlog.SegmentID(p.FirstSeq, p.LastSeq)) {
			out = append(out, p)
		}
	}
	return out
}

// pinned says whether a segment's range of keys meets one of the pinned prefixes.
func (t *tiering) pinned(p *ledger.Placed) bool {
	return p.MaxKey != nil && slices.ContainsFunc(t.opts.Pins, func(pin []byte) bool {
		return bytes.Compare(p.MaxKey, pin) >= 0 && (bytes.Compare(p.MinKey, pin) <= 0 || bytes.HasPrefix(p.MinKey, pin))
	})
}

// planFetches chooses the objects that are read so much that they are to come back, as far as there is room.
func (t *tiering) planFetches(placed []ledger.Placed, room uint64, now time.Time) {
	if t.opts.FetchReads < 0 {
		return
	}
	for i := range placed {
		if p := &placed[i]; p.Cold {
			f := t.placement(p, now)
			_, f.reads = t.heat.of(p.FirstSeq, now)
			if f.reads >= uint64(t.opts.FetchReads) {
				t.fetches = append(t.fetches, f)
			}
		}
	}
	slices.SortFunc(t.fetches, func(a, b placement) int {
		return cmp.Or(cmp.Compare(b.reads, a.reads), cmp.Compare(a.first, b.first))
	})
	t.fetches = slices.DeleteFunc(t.fetches, func(p placement) bool {
		if p.bytes > room {
			return true
		}
		room -= p.bytes
		return false
	})
}

// roomHere is how much the disk can take without touching what is reserved for the log and for flushes.
func (t *tiering) roomHere() uint64 {
	return uint64(max(0, t.n.space.free.Load()-t.n.space.reserve.Load()))
}

func (t *tiering) placement(p *ledger.Placed, now time.Time) placement {
	reads, _ := t.heat.of(p.FirstSeq, now)
	return placement{id: tlog.SegmentID(p.FirstSeq, p.LastSeq), bytes: p.Bytes, reads: reads, first: p.FirstSeq}
}

// nextEviction gives up a file that somebody waits to see gone, or one of the policy's.
func (t *tiering) nextEviction(time.Time) *tierWork {
	if t.busy[jobEvict]+t.busy[jobLook] > 0 {
		return nil
	}
	for _, r := range t.rounds {
		if r.stage == roundEvict && r.looks && !r.looking {
			r.looking = true
			return &tierWork{jobLook, func(ctx context.Context) { t.lookFor(ctx, r) }}
		}
		if r.stage == roundEvict && len(r.evictions) > 0 {
			p := r.evictions[0]
			r.evictions = r.evictions[1:]
			return &tierWork{jobEvict, func(ctx context.Context) { t.evict(ctx, p, r) }}
		}
	}
	if len(t.evictions) == 0 {
		return nil
	}
	p := t.evictions[0]
	t.evictions = t.evictions[1:]
	return &tierWork{jobEvict, func(ctx context.Context) { t.evict(ctx, p, nil) }}
}

// evict gives up a file. After an error nothing more is given up in this round: it is the store that is asked each time.
func (t *tiering) evict(ctx context.Context, p placement, r *tierRound) {
	done, ok := t.n.scrub.mayEvict(p.id)
	if !ok {
		return
	}
	defer done()
	err := t.n.ledger.Evict(ctx, p.id)
	t.mu.Lock()
	defer t.mu.Unlock()
	if errors.Is(err, ledger.ErrNoSegment) || errors.Is(err, ledger.ErrNoObject) { // merged meanwhile
		return
	}
	if ctx.Err() != nil && err != nil {
		return // the node is being closed
	}
	t.met(jobEvict, err)
	if err == nil {
		t.heat.moved(p.first)
		if r != nil && r.stage != roundEnded {
			r.result.Evicted = append(r.result.Evicted, p.id)
			r.result.EvictedBytes += p.bytes
		}
		return
	}
	t.n.opts.Logger.Warn("a segment's file cannot be given up; it is tried again", "segment", p.id, "error", err)
	t.evictions = nil
	if r != nil && r.stage != roundEnded {
		r.evictions, r.err = nil, errors.Join(r.err, &TierError{Problem: t.trouble[jobEvict], Err: err})
	}
}

func (t *tiering) nextFetch(time.Time) *tierWork {
	if t.busy[jobFetch] > 0 || len(t.fetches) == 0 {
		return nil
	}
	p := t.fetches[0]
	t.fetches = t.fetches[1:]
	return &tierWork{jobFetch, func(ctx context.Context) { t.fetch(ctx, p) }}
}

// fetch brings a file back that is read often.
func (t *tiering) fetch(ctx context.Context, p placement) {
	limited, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	err := t.n.ledger.Fetch(limited, p.id)
	t.mu.Lock()
	defer t.mu.Unlock()
	if errors.Is(err, ledger.ErrNoSegment) || ctx.Err() != nil && err != nil {
		return
	}
	t.met(jobFetch, err)
	t.heat.moved(p.first)
	if err != nil {
		t.n.opts.Logger.Warn("a segment that is read often cannot be fetched; it is tried again", "segment", p.id, "reads",
			p.reads, "error", err)
		t.fetches = nil
	}
}
