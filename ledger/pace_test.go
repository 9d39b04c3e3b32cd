package ledger

import (
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/manifest"
)

func TestPace(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }
	var p pace
	check := func(now int, want bool) {
		t.Helper()
		if got := p.fast(at(now)); got != want {
			t.Errorf("at %d ms: fast is %v", now, got)
		}
	}
	const took = 300 * time.Millisecond // 1.8 s is the least gap that is not fast
	check(0, false)
	p.flushed(at(0), took)
	check(1, false) // one tells nothing
	p.flushed(at(1000), took)
	check(1001, true)
	check(2999, true)
	check(3000, false) // the next one is overdue
	p.flushed(at(2800), took)
	check(2801, false)
	p.flushed(at(4599), took)
	check(4599, true)
	p.flushed(at(4700), took/50) // the flusher has little to do
	check(4701, false)
	p.flushed(at(4730), took)
	check(4731, true)
	check(4790, false)
	p.flushed(at(34_729), 20*time.Second) // a slow machine
	check(34_730, true)
	p.flushed(at(64_729), 20*time.Second)
	check(64_730, false) // too slow to wait for
}

// TestMergesWaitForRest: while memtables fill fast, merges are wide; what is due then waits until they do not.
func TestMergesWaitForRest(t *testing.T) {
	now := time.UnixMicro(0)
	r := newReplica(t, func(o *Options) {
		o.CompactFanIn, o.SealBytes = 3, 300
		o.Now = func() time.Time { // whatever is timed takes 200 ms
			now = now.Add(200 * time.Millisecond)
			return now
		}
	})
	c := &cluster2{t: t, leader: r, follower: newReplica(t, nil)}
	wants := func() (n []int) {
		for _, w := range r.l.WantedMerges() {
			from, to, _ := r.l.partition.Load().find(manifest.Range{FirstSeq: w.Key.First, LastSeq: w.Key.Last})
			n = append(n, to-from+1)
		}
		return n
	}
	expect := func(when string, want int) {
		t.Helper()
		if got := wants(); want == 0 && len(got) > 0 || want > 0 && (len(got) != 1 || got[0] != want) {
			t.Fatalf("%s merges of %v segments are wanted, not of %d", when, got, want)
		}
	}
	for i := range busyFanIn*3 - 1 {
		now = now.Add(200 * time.Millisecond)
		c.segment(i, true)
		if i > 0 {
			expect("in haste", 0)
		}
	}
	before := now
	now = now.Add(10 * time.Second)
	expect("at rest", busyFanIn*3-1)
	now = before
	c.segment(busyFanIn*3, true)
	expect("in haste", busyFanIn*3)
	if left := r.l.MergesLeft(false); len(left) != 1 {
		t.Errorf("%d merges are due by themselves", len(left))
	}
}
