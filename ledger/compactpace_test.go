package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestMergeRate: a merge is written no faster than its bound, not even to make up for time in which it wrote nothing,
// and no slower; with many segments the bound is wider.
func TestMergeRate(t *testing.T) {
	const rate, piece, pieces = 1 << 20, 64 << 10, 160
	write := func(t *testing.T, p *paced, n int) time.Duration {
		began := time.Now()
		for range n {
			if _, err := p.Write(make([]byte, piece)); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(began)
	}
	const each = time.Second * piece / rate
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		o := testOptions(mem)
		o.Manual, o.Now, o.CompactBytesPerSecond = false, time.Now, rate
		l, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		f, err := mem.Create("data/file")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p := &paced{ledger: l, to: appender{f: f}}
		if got, want := write(t, p, pieces), (pieces-1)*each; got < want || got > want+want/100 {
			t.Errorf("%d bytes in %v, not %v", pieces*piece, got, want)
		}
		time.Sleep(time.Minute)
		if got := write(t, p, pieces); got < (pieces-1)*each {
			t.Errorf("after a rest %d bytes in %v", pieces*piece, got)
		}
		many := make([]*table, hurryFrom)
		for i := range many {
			many[i] = new(table)
			many[i].refs.Add(1) // so that the last view does not close it
		}
		l.swap(func(v *view) { v.tables = many })
		if got, want := write(t, p, pieces), (pieces+1)*each/2; got > want {
			t.Errorf("with many segments %d bytes in %v", pieces*piece, got)
		}
		l.swap(func(v *view) { v.tables = nil })
		write(t, p, 1)
		closed := make(chan error)
		go func() {
			_, err := p.Write(make([]byte, piece))
			closed <- err
		}()
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-closed; !errors.Is(err, ErrClosed) {
			t.Errorf("a write that waits while the ledger is closed: %v", err)
		}
	})
}

// TestMergeGivesWay: a merge rests while memtables wait for the flusher, each time for a moment only.
func TestMergeGivesWay(t *testing.T) {
	r := newReplica(t, nil)
	var rests []time.Duration
	r.l.opts.Manual = false
	r.l.opts.After = func(d time.Duration) <-chan time.Time {
		rests = append(rests, d)
		over := make(chan time.Time)
		close(over)
		return over
	}
	for n := range giveWayFrom + 1 {
		if err := r.l.giveWay(); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{n >= giveWayFrom: 1}[true]; len(rests) != want || want > 0 && rests[0] != giveWayPause {
			t.Errorf("with %d memtables waiting it rests %v", n, rests)
		}
		mustApply(t, r.l, uint64(2*n+1), putCommand(t, "k", valueOf(uint64(n), 60)))
		mustApply(t, r.l, uint64(2*n+2), SealNow())
	}
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	if n := r.l.unbuilt(); n != 0 {
		t.Errorf("%d memtables wait when all segments are built", n)
	}
}

// TestFailedMergeLetsOthersOn: what can be merged is, whatever stands before it; and what failed is tried again.
func TestFailedMergeLetsOthersOn(t *testing.T) {
	c := newCluster2(t)
	for i := range 9 {
		c.segment(i, true)
	}
	segments := c.leader.l.Manifest().Segments
	var spans []manifest.Range
	for i := 0; i < 9; i += 3 {
		r := manifest.Range{FirstSeq: segments[i].FirstSeq, LastSeq: segments[i+2].LastSeq}
		spans = append(spans, r)
		c.apply(encodeMerge(r))
	}
	l := c.leader.l
	broken := fmt.Errorf("not today")
	fails := map[string]bool{}
	for _, r := range spans[:2] {
		fails[l.segmentFile(tlog.SegmentID(r.FirstSeq, r.LastSeq))+temporarySuffix] = true
	}
	l.opts.FS = vfs.NewInject(c.leader.mem, vfs.FailFrom(0, broken).Kinds(vfs.OpCreate).Named(
		func(name string) bool { return fails[name] }).Hook)
	for range 6 {
		if _, err := l.CompactStep(); err != nil && !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
	if built := l.MergedRoots(); len(built) != 1 || built[0].FirstSeq != spans[2].FirstSeq {
		t.Fatalf("while two merges fail, built are %+v", built)
	}
	clear(fails)
	if err := compactAll(l); err != nil {
		t.Fatal(err)
	}
	if built := l.MergedRoots(); len(built) != 3 {
		t.Errorf("when nothing fails any more, built are %+v", built)
	}
}

// TestWaitingIsLoggedOnce: for space or for the object store, and told in full by the error and the metric. Damage is
// told every time.
func TestWaitingIsLoggedOnce(t *testing.T) {
	damaged := &ColdError{Segment: "s", Err: &vfs.CorruptError{File: "f", Reason: "bad"}}
	for waiting, lines := range map[error]int{vfs.ErrReserved: 3, &ColdError{Segment: "s", Err: errors.New("down")}: 3, damaged: 11} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			o := Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}.withDefaults()
			l := &Ledger{opts: o, stop: make(chan struct{}), changed: make(chan struct{})}
			steps := 0
			w := l.newWorker(func() (bool, error) {
				steps++
				switch {
				case steps == 6:
					return true, errors.New("something else")
				case steps < 12:
					return true, fmt.Errorf("step %d: %w", steps, waiting)
				}
				return false, nil
			})
			w.failed = "failed"
			go w.run(prometheus.NewCounter(prometheus.CounterOpts{Name: "failures"}))
			w.poke()
			time.Sleep(time.Minute)
			close(l.stop)
			<-w.done
			if n := bytes.Count(log.Bytes(), []byte("msg=failed")); n != lines || steps != 12 {
				t.Errorf("%v: %d lines for %d steps:\n%s", waiting, n, steps, log.Bytes())
			}
		})
	}
}
