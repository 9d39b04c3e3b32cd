package engine

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/bench/phase"
)

// latencies counts durations in buckets of which each is at most 1/64 of its value wide.
type latencies struct {
	counts [64 * 64]atomic.Int64
	most   atomic.Int64
}

func newLatencies() *latencies { return new(latencies) }

// bucket is the place of a duration of ns nanoseconds: its power of two, and the six bits behind the first.
func bucket(ns uint64) int {
	if ns < 64 {
		return int(ns)
	}
	power := bits.Len64(ns) - 7
	return power*64 + int(ns>>power)
}

// floor is the least duration in a bucket.
func floor(b int) time.Duration {
	if b < 128 {
		return time.Duration(b)
	}
	power := b/64 - 1
	return time.Duration(uint64(b-power*64) << power)
}

func (l *latencies) add(d time.Duration) {
	l.counts[bucket(uint64(max(d, 0)))].Add(1)
	for most := l.most.Load(); int64(d) > most && !l.most.CompareAndSwap(most, int64(d)); most = l.most.Load() {
	}
}

// quantile returns a duration that the share q of all does not exceed by more than a bucket.
func (l *latencies) quantile(q float64) time.Duration {
	total := int64(0)
	for i := range l.counts {
		total += l.counts[i].Load()
	}
	left := int64(q * float64(total))
	for i := range l.counts {
		if left -= l.counts[i].Load(); left < 0 {
			return floor(i)
		}
	}
	return time.Duration(l.most.Load())
}

// merge adds what more has counted.
func (l *latencies) merge(more *latencies) {
	for i := range more.counts {
		if n := more.counts[i].Load(); n > 0 {
			l.counts[i].Add(n)
		}
	}
	l.most.Store(max(l.most.Load(), more.most.Load()))
}

// timings are the latencies of all, and of the seconds in which no other machine on the host had the processors.
type timings struct {
	all, calm          *latencies
	window             atomic.Pointer[latencies] // of this second
	windows, disturbed int
	stop, stopped      chan struct{}
}

func newTimings() *timings {
	t := &timings{all: newLatencies(), calm: newLatencies(), stop: make(chan struct{}), stopped: make(chan struct{})}
	t.window.Store(newLatencies())
	go t.watch()
	return t
}

func (t *timings) add(d time.Duration) {
	t.all.add(d)
	t.window.Load().add(d)
}

func (t *timings) watch() {
	defer close(t.stopped)
	const window = time.Second
	tick := time.NewTicker(window)
	defer tick.Stop()
	for before := phase.Stolen(); ; {
		select {
		case <-tick.C:
		case <-t.stop:
			return
		}
		now, last := phase.Stolen(), t.window.Swap(newLatencies())
		t.windows++
		if phase.Calm(now-before, window) {
			t.calm.merge(last)
		} else {
			t.disturbed++
		}
		before = now
	}
}

// end ends the watch.
func (t *timings) end() {
	close(t.stop)
	<-t.stopped
}

// report may be called behind end.
func (t *timings) report(out *figures) {
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	out.add("durable writes, p50, ms", ms(t.all.quantile(0.5)))
	out.add("durable writes, p99, ms", ms(t.all.quantile(0.99)))
	out.add("durable writes, p99.9, ms", ms(t.all.quantile(0.999)))
	out.add("durable writes, slowest, ms", ms(time.Duration(t.all.most.Load())))
	if t.windows > t.disturbed {
		out.add("durable writes in calm seconds, p50, ms", ms(t.calm.quantile(0.5)))
		out.add("durable writes in calm seconds, p99.9, ms", ms(t.calm.quantile(0.999)))
		out.add("durable writes in calm seconds, slowest, ms", ms(time.Duration(t.calm.most.Load())))
	}
	if t.windows > 0 {
		out.add("durable writes: seconds", float64(t.windows))
	}
	if t.disturbed > 0 {
		out.add("durable writes: seconds that were not calm", float64(t.disturbed))
	}
}
