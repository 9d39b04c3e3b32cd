package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// The scrubber re-reads what nobody may have read for long, at a low rate, and has it repaired from another copy while
// there is one:
//
//	a segment's file   against its checksums and its root       from a member, or the object store (fetchrepair.go)
//	a meta tail        against its checksums and the root       from the object
//	an object          against the SHA-256 that is recorded     from a file of its segment, here or at another member
//
// Every member reads its own files. Objects are read by the leader alone, so each is read once, and more seldom: reading
// them may cost money. A pass is spread over its interval, so a node that starts often reads no more than one that does
// not; it begins at a random place, and goes on from where it is in memory. What a read meets is looked at soon
// (scrubsuspect.go). The first finding of a copy decides nothing: a
// file is read again by the repair, and an object by the scrubber, before anything takes their place.
//
// The scrubber holds a reference to the table that it reads, and no lock. A segment that is merged, evicted or fetched
// meanwhile is no finding.

// scrubber is for one goroutine that calls step, and any that call pass.
type scrubber struct {
	n         *Node // whose ledger is there once the scrubber is used
	snapshots *snapshots
	store     tier.Store // nil: none
	log       *slog.Logger
	rate      int64 // bytes per second that step reads; none when it is not above 0
	draw      uint64
	metrics   *scrubMetrics

	ctx     context.Context // of what step does; ends with the node
	cancel  context.CancelFunc
	wake    chan struct{} // capacity 1, into the goroutine that calls step
	passing chan struct{} // capacity 1: one pass at a time
	mending sync.Mutex    // held while an object is repaired, or a file given up

	mu      sync.Mutex // guards what follows
	free    time.Time  // step reads nothing before
	files   round
	objects round
	// bad are the objects that were found damaged and are not good again, by segment id.
	bad map[string]*badObject
	// making is the name of the object that is being put again; empty for none.
	making string
	// suspects are the segments in whose objects, or meta tails, reads have met damage, and when they are to be looked at
	// next; none after that, until they are met again.
	suspects map[string]time.Time
	looked   map[string]time.Time // until when those that were looked at are left alone
	watched  findings
	changed  chan struct{} // closed and replaced when a repair is over
}

// round is one pass after the other over copies that are in order of their first seqs.
type round struct {
	every time.Duration // how long one takes at least
	begun bool
	at    uint64    // the next copy is the first one from this seq on, or the very first
	due   time.Time // of the next copy
}

// next returns which of the copies is due, by their first seqs; false while none is. The first one of all is where draw
// says.
func (r *round) next(now time.Time, draw uint64, firsts []uint64) (i int, ok bool) {
	if len(firsts) == 0 || now.Before(r.due) {
		return 0, false
	}
	if !r.begun {
		r.begun, r.at = true, firsts[draw%uint64(len(firsts))]
	}
	i, _ = slices.BinarySearch(firsts, r.at)
	return i % len(firsts), true
}

// passed moves behind a copy of so many of the pass's bytes, and spreads the pass over its interval.
func (r *round) passed(now time.Time, first, bytes, total uint64) {
	r.at = first + 1
	r.due = now.Add(time.Duration(float64(r.every) * float64(bytes) / float64(max(total, 1))))
}

// newScrubber makes the scrubber of a node that has no ledger yet.
func newScrubber(n *Node) *scrubber {
	o := &n.opts
	s := &scrubber{n: n, log: o.Logger, rate: o.ScrubBytesPerSecond, draw: source(o).Uint64(),
		wake: make(chan struct{}, 1), passing: make(chan struct{}, 1), changed: make(chan struct{}),
		files: round{every: o.ScrubInterval}, objects: round{every: o.ScrubObjectsInterval},
		bad: make(map[string]*badObject), suspects: make(map[string]time.Time),
		looked: make(map[string]time.Time), watched: make(findings)}
	if o.Tier != nil {
		s.store = o.Tier.Store
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.metrics = newScrubMetrics(s, o.Registerer)
	return s
}

// leads says whether this node reads the objects: it leads, knows all that are recorded, and they are its cluster's.
func (s *scrubber) leads() bool {
	return s.n.tiering != nil && !s.n.tiering.fenced.Load() && s.n.tiering.leads()
}

// sleep waits, or until the node ends. With Options.Manual the owner's clock stands still meanwhile, so step goes on at
// once, and does not begin again before its time.
func (s *scrubber) sleep(d time.Duration) {
	if s.n.opts.Manual || d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// pace is what step does between pieces of what it reads: it waits until the rate allows more.
func (s *scrubber) pace(ctx context.Context, n int) error {
	if s.rate <= 0 {
		return ctx.Err()
	}
	now := s.n.opts.Now()
	s.mu.Lock()
	if s.free.Before(now) {
		s.free = now
	}
	s.free = s.free.Add(time.Duration(float64(n) / float64(s.rate) * float64(time.Second)))
	wait := s.free.Sub(now)
	s.mu.Unlock()
	s.sleep(wait)
	return ctx.Err()
}

// step reads the next copy that is due, if the rate allows it, and says whether there was one.
func (s *scrubber) step() bool {
	now := s.n.opts.Now()
	s.mu.Lock()
	late := now.Before(s.free)
	s.mu.Unlock()
	if late {
		return false
	}
	return s.mendStep(now) || s.suspectStep(now) || s.rate > 0 && (s.fileStep(now) || s.objectStep(now))
}

// wait is how long there is nothing for step to do, unless it is woken; 0 is until then.
func (s *scrubber) wait() time.Duration {
	const most, least = time.Minute, 10 * time.Millisecond
	now := s.n.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	next, some := now.Add(most), s.rate > 0 || len(s.bad)+len(s.suspects) > 0
	earlier := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if s.rate > 0 {
		earlier(s.files.due)
		if s.store != nil && s.objects.every >= 0 && s.leads() {
			earlier(s.objects.due)
		}
	}
	for _, b := range s.bad {
		if !b.asked && !b.next.IsZero() {
			earlier(b.next)
		}
	}
	for _, at := range s.suspects {
		earlier(at)
	}
	if next.Before(s.free) {
		next = s.free
	}
	if !some {
		return 0
	}
	return max(next.Sub(now), least)
}

// fileStep reads the next file of this member, if it is due.
func (s *scrubber) fileStep(now time.Time) bool {
	s.forgetMerged()
	copies := s.n.ledger.Copies()
	firsts, total := make([]uint64, len(copies)), uint64(0)
	for i := range copies {
		firsts[i] = copies[i].FirstSeq
		total += copies[i].Bytes
	}
	s.mu.Lock()
	i, ok := s.files.next(now, s.draw, firsts)
	if ok {
		s.files.passed(now, firsts[i], copies[i].Bytes, total)
	}
	s.mu.Unlock()
	if !ok {
		return false
	}
	if f, _ := s.checkFile(s.ctx, copies[i], s.pace); f != nil { // which was logged, and is repaired by itself
		s.unwatch(whatOf(copies[i]), f)
	}
	return true
}

func whatOf(c ledger.Copy) string {
	if c.Meta {
		return whatMeta
	}
	return whatFile
}

// checkFile reads one file of this member. What is found is on its way to be repaired, or is repaired, and watched: the
// caller ends that. An error says that the file was not read to its end.
func (s *scrubber) checkFile(ctx context.Context, c ledger.Copy, pace func(context.Context, int) error,
) (*ScrubFinding, error) {
	what, f := whatOf(c), &ScrubFinding{Segment: c.ID, File: c.File}
	s.watch(what, f) // before: the fetcher begins at once
	err := s.n.ledger.VerifyCopy(ctx, c, func(ctx context.Context, n int) error {
		s.metrics.bytes.WithLabelValues(what).Add(float64(n))
		return pace(ctx, n)
	})
	if ended := ctx.Err(); ended != nil || err == nil || errors.Is(err, ledger.ErrNoSegment) || errors.Is(err, ledger.ErrClosed) {
		s.unwatch(what, f)
		if ended == nil && err == nil {
			s.metrics.copies.WithLabelValues(what).Inc()
		}
		if ended == nil && errors.Is(err, ledger.ErrNoSegment) {
			err = nil // it went while it was read
		}
		return nil, errors.Join(ended, err)
	}
	s.metrics.copies.WithLabelValues(what).Inc()
	s.fill(f, err)
	s.report(what, f, err)
	if c.Meta && isCorrupt(err) {
		s.renewMeta(ctx, f)
	}
	return f, nil
}

// report counts and logs damage that was found.
func (s *scrubber) report(what string, f *ScrubFinding, damage error) {
	s.metrics.findings.WithLabelValues(what).Inc()
	s.log.Error("the scrubber found damage", "what", what, "segment", f.Segment, "error", damage)
}

// placeOf returns where damage is, and what it is.
func placeOf(err error) (offset int64, reason string) {
	if corrupt := (*vfs.CorruptError)(nil); errors.As(err, &corrupt) {
		return corrupt.Offset, corrupt.Reason
	}
	return 0, err.Error()
}

// renewMeta repairs a meta tail from the object.
func (s *scrubber) renewMeta(ctx context.Context, f *ScrubFinding) {
	switch err := s.n.ledger.RenewMeta(ctx, f.Segment); {
	case err == nil || errors.Is(err, ledger.ErrNoSegment):
		s.mended(whatMeta, f, fromStore)
	default:
		s.add(f, "not repaired: "+err.Error())
		s.log.Error("a meta tail cannot be fetched anew; it is tried again when it is read next", "segment", f.Segment,
			"error", err)
	}
}

// fileRepaired takes note that the fetcher has settled what was in doubt of a segment: a good file came in the place of a
// damaged one, or for the sake of the object, from somewhere; or it proved whole when it was read again. For the fetcher.
func (s *scrubber) fileRepaired(id, from string) {
	switch f := (&ScrubFinding{Segment: id}); {
	case s.fileCame(id):
		s.tell()
	case from == "":
		s.log.Info("a segment's file proved whole when it was read again", "segment", id)
		s.settled(whatFile, f, fromLocal)
	default:
		s.mended(whatFile, f, from)
	}
}

// end ends what is under way. There may be no scrubber yet.
func (s *scrubber) end() {
	if s != nil {
		s.cancel()
	}
}

// close lets go of what is registered. No step may run any more.
func (s *scrubber) close() {
	s.end()
	s.metrics.unregister()
}

// recorded says whether the log has the object of a segment yet.
func (s *scrubber) recorded(r manifest.Recorded) bool {
	return slices.Contains(s.n.ledger.Objects(), r)
}
