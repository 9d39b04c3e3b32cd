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
	check(0, false)
	p.flushed(at(0))
	check(1, false) // one tells nothing
	p.flushed(at(1000))
	check(1001, true)
	check(2999, true)
	check(3000, false) // the next one is overdue
	p.flushed(at(4000))
	check(4001, false)
	p.flushed(at(6999))
	check(6999, true)
	p.flushed(at(7000))
	check(7001, true)
	check(7002, false)
}

// TestMergesWaitForRest: while memtables fill fast, merges are wide; what is due then waits until they do not.
func TestMergesWaitForRest(t *testing.T) {
	now := time.UnixMicro(0)
	r := newReplica(t, func(o *Options) {
		o.CompactFanIn, o.SealBytes, o.Now = 3, 300, func() time.Time { return now }
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
		now = now.Add(time.Second)
		c.segment(i, true)
		if i > 0 {
			expect("in haste", 0)
		}
	}
	now = now.Add(2 * time.Second)
	expect("at rest", busyFanIn*3-1)
	now = now.Add(-time.Second)
	c.segment(busyFanIn*3, true)
	expect("in haste", busyFanIn*3)
	if left := r.l.MergesLeft(false); len(left) != 1 {
		t.Errorf("%d merges are due by themselves", len(left))
	}
}
