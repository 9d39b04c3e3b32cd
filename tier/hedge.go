package tier

import (
	"context"
	"slices"
	"sync"
	"time"
)

// hedged makes a request, and a second one when the first takes longer than most have of late. The first answer wins,
// the other request is cancelled. An error counts as the answer only when no request is left that could do better.
func (r *Ranges) hedged(ctx context.Context, o *SealedObject, off, n int64) ([]byte, error) {
	if r.opts.Inline {
		return r.attempt(ctx, o, off, n, nil)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		data   []byte
		err    error
		second bool
	}
	answers := make(chan answer, 2) // room for both: the loser's goroutine does not wait for anybody
	send := func(second bool) bool {
		return r.start(func() {
			data, err := r.attempt(ctx, o, off, n, nil)
			answers <- answer{data, err, second}
		})
	}
	if !send(false) {
		return nil, errClosed
	}
	var late <-chan time.Time
	if d, ok := r.recent.p95(); ok && n <= sampledBytes && r.opts.HedgeShare > 0 {
		t := time.NewTimer(max(d+d/8, minHedgeDelay)) // beyond it: a store may well take always the same
		defer t.Stop()
		late = t.C
	}
	var failed error
	for pending := 1; ; {
		select {
		case a := <-answers:
			pending--
			if a.err == nil {
				if a.second {
					r.metrics.hedgesWon.Inc()
				}
				return a.data, nil
			}
			if failed == nil {
				failed = a.err
			}
			if pending == 0 {
				return nil, failed
			}
		case <-late:
			late = nil
			if r.hedges.Take() && send(true) {
				pending++
				r.metrics.hedged.Inc()
			}
		case <-ctx.Done():
			return nil, Ended("get", o.Name, ctx.Err())
		}
	}
}

const (
	sampledBytes  = 512 << 10 // larger requests are no measure of the others
	keptLatencies = 128
	fewLatencies  = 32                    // fewer say nothing about the slowest twentieth
	minHedgeDelay = 20 * time.Millisecond // a store that is quicker needs no help
)

// latencies keeps how long the last requests took. It is safe for concurrent use.
type latencies struct {
	mu    sync.Mutex
	last  [keptLatencies]time.Duration // guarded by mu, as is all below
	count int                          // of all that were added
	at95  time.Duration                // of last, as of when count was a multiple of 16
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[l.count%keptLatencies] = d
	if l.count++; l.count >= fewLatencies && l.count%16 == 0 {
		kept := slices.Clone(l.last[:min(l.count, keptLatencies)])
		slices.Sort(kept)
		l.at95 = kept[len(kept)*95/100]
	}
}

// p95 is what 95 of 100 recent requests did not exceed; false while there are too few to say.
func (l *latencies) p95() (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at95, l.count >= fewLatencies
}
