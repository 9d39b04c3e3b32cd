package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const connections = 32

// TestKill kills the node again and again under load. Whatever was acknowledged is there afterwards, with the seq and the
// time that were acknowledged; whatever was not is there as a whole or not at all; and the root is the one that the
// entries give.
func TestKill(t *testing.T) {
	const seed = 20
	kills := 20
	if raceEnabled {
		kills = 6 // for races, not for luck
	}
	rnd := rand.New(rand.NewPCG(seed, 1))
	writers := make([]*writer, connections)
	for i := range writers {
		writers[i] = &writer{id: i, rnd: rand.New(rand.NewPCG(seed, uint64(100+i)))}
	}
	o := options{dir: t.TempDir(), env: append(small(), "SCRIBE_LOG_LEVEL=error")}
	for n := range kills {
		s := start(t, o)
		verifyHistory(t, s, writers)
		load(t, s, writers, 1+rnd.Int64N(1200))
		if n%5 == 4 {
			// Once more, while it recovers.
			launch(t, o).awaitRecovery(rnd.IntN(3)).kill()
		}
	}
	s := start(t, o)
	verifyHistory(t, s, writers)
	s.seal()
	entries := verifyHistory(t, s, writers)
	checkProofs(t, s, entries, rnd)
	if st := s.status(); st.FirstIndex == 1 {
		t.Error("no log file was ever dropped: the load is too small to show anything")
	}
	if n := count(entries, func(e *entry) bool { return e.Op == "segment" }); n < kills {
		t.Errorf("only %d segments were made: the load is too small to show anything", n)
	}
	acked, lost := 0, 0
	for _, w := range writers {
		for _, op := range w.ops {
			if op.acked {
				acked++
			} else {
				lost++
			}
		}
	}
	t.Logf("%d kills: %d writes acknowledged, %d cut off, %d entries", kills, acked, lost, len(entries))
}

// awaitRecovery waits until the node has got somewhere on its way up: not at all, to its lock, or to its port.
func (s *scribe) awaitRecovery(stage int) *scribe {
	s.t.Helper()
	switch stage {
	case 1:
		eventually(s.t, func() string {
			if fileSize(s.dir+"/LOCK") == 0 {
				return "the lock names no owner"
			}
			return ""
		})
	case 2:
		s.awaitLine("  API ")
	}
	return s
}

// load lets all writers write until so many writes are acknowledged, and then kills the node under them.
func load(t *testing.T, s *scribe, writers []*writer, until int64) {
	t.Helper()
	var acks atomic.Int64
	enough := make(chan struct{})
	client := plain()
	defer client.CloseIdleConnections()
	var running sync.WaitGroup
	for _, w := range writers {
		running.Go(func() {
			for w.write(t, s, client) {
				if acks.Add(1) == until {
					close(enough)
				}
			}
		})
	}
	stopped := make(chan struct{})
	go func() {
		running.Wait()
		close(stopped)
	}()
	select {
	case <-enough:
	case <-stopped: // the node ended, or answered wrongly; either is told below
	}
	select {
	case <-s.done:
		t.Fatalf("the node ended by itself: %v\n%s", s.cmd.ProcessState, s.log.tail(8<<10))
	default:
	}
	s.kill()
	<-stopped
	if t.Failed() {
		t.FailNow()
	}
}

// verifyHistory checks the whole ledger against what every writer knows.
func verifyHistory(t *testing.T, s *scribe, writers []*writer) []entry {
	t.Helper()
	entries := s.replay()
	of := make([][]*entry, len(writers))
	for i := range entries {
		e := &entries[i]
		if e.Op == "segment" {
			continue
		}
		var id int
		if _, err := fmt.Sscanf(e.key(t), "w%d/", &id); err != nil || id >= len(writers) {
			t.Fatalf("entry %d has a key that nobody wrote: %q", e.Seq, e.key(t))
		}
		of[id] = append(of[id], e)
	}
	for i, w := range writers {
		w.verify(t, of[i])
	}
	return entries
}

// checkProofs verifies the proofs of a few entries.
func checkProofs(t *testing.T, s *scribe, entries []entry, rnd *rand.Rand) {
	t.Helper()
	for range 50 {
		e := &entries[rnd.IntN(len(entries))]
		if e.Op == "segment" {
			continue
		}
		var p proof
		s.get(fmt.Sprintf("/verify/%s?seq=%d", e.key(t), e.Seq)).want(200).decode(&p)
		p.check(t, e)
		if p.Segment == nil {
			t.Fatalf("entry %d is in no segment after a seal", e.Seq)
		}
	}
}

// writer is one connection's worth of load. It works on keys of its own, one operation at a time, and no operation is
// like another, so the ledger can be held against what it remembers.
type writer struct {
	id   int
	rnd  *rand.Rand
	ops  []*operation
	live []string // acknowledged keys that were not touched since
}

// operation is one write and what became of it.
type operation struct {
	writes []write
	idem   string // Idempotency-Key; empty for none
	path   string
	method string
	body   string
	acked  bool
	seq    uint64 // as acknowledged, of the first write
	time   string // as acknowledged
}

type write struct{ op, key, value string }

// next makes up an operation: after a kill the one that was cut off, if it can be repeated safely.
func (w *writer) next() *operation {
	if n := len(w.ops); n > 0 && !w.ops[n-1].acked && w.ops[n-1].idem != "" {
		return w.ops[n-1]
	}
	n := len(w.ops)
	op := &operation{}
	if w.rnd.IntN(2) == 0 {
		op.idem = fmt.Sprintf("w%d-%d", w.id, n)
	}
	value := func() string {
		return fmt.Sprintf("%d of %d %s", n, w.id, strings.Repeat("x", w.rnd.IntN(1500)))
	}
	fresh := fmt.Sprintf("w%d/%d", w.id, n)
	switch roll := w.rnd.IntN(10); {
	case roll < 2 && len(w.live) > 0:
		op.method, op.path = "DELETE", "/v1/kv/"+w.take()
		op.writes = []write{{"delete", strings.TrimPrefix(op.path, "/v1/kv/"), ""}}
	case roll < 4:
		op.method, op.path = "POST", "/v1/batch"
		op.writes = []write{{"put", fresh + "/a", value()}, {"put", fresh + "/b", value()}}
		if len(w.live) > 0 {
			op.writes = append(op.writes, write{"delete", w.take(), ""})
		}
		var ops []string
		for _, x := range op.writes {
			if x.op == "put" {
				ops = append(ops, fmt.Sprintf(`{"op":"put","key":%q,"value":%q}`, x.key, x.value))
			} else {
				ops = append(ops, fmt.Sprintf(`{"op":"delete","key":%q}`, x.key))
			}
		}
		op.body = `{"ops":[` + strings.Join(ops, ",") + `]}`
	default:
		key := fresh
		if roll < 6 {
			key = fmt.Sprintf("w%d/hot", w.id)
		}
		op.method, op.path, op.body = "PUT", "/v1/kv/"+key, value()
		op.writes = []write{{"put", key, op.body}}
	}
	w.ops = append(w.ops, op)
	return op
}

// take removes a live key for good: whatever becomes of its deletion, it is not used again.
func (w *writer) take() string {
	i := w.rnd.IntN(len(w.live))
	key := w.live[i]
	w.live[i] = w.live[len(w.live)-1]
	w.live = w.live[:len(w.live)-1]
	return key
}

// write does one operation and says whether it was acknowledged.
func (w *writer) write(t *testing.T, s *scribe, c *http.Client) bool {
	op := w.next()
	var headers []string
	if op.idem != "" {
		headers = append(headers, "Idempotency-Key", op.idem)
	}
	if op.method == "POST" {
		headers = append(headers, "Content-Type", "application/json")
	}
	a, err := s.try(c, op.method, op.path, []byte(op.body), headers...)
	for err == nil && a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" {
		time.Sleep(time.Duration(1+w.rnd.IntN(5)) * time.Millisecond) // not applied: make room, try again
		a, err = s.try(c, op.method, op.path, []byte(op.body), headers...)
	}
	if err != nil {
		return false // cut off
	}
	var got struct {
		receipt
		FirstSeq uint64 `json:"first_seq"`
		Count    int    `json:"count"`
	}
	if a.status != 200 && a.status != 201 {
		t.Errorf("%s: status %d: %s", a.what, a.status, a.body)
		return false
	}
	a.decode(&got)
	op.acked, op.time, op.seq = true, got.Time, got.Seq+got.FirstSeq
	for _, x := range op.writes {
		if x.op == "put" && !strings.HasSuffix(x.key, "/hot") {
			w.live = append(w.live, x.key)
		}
	}
	if len(w.ops)%8 == 0 {
		return w.readBack(t, s, c, op)
	}
	return true
}

// readBack reads the first put of an acknowledged operation, which nobody else writes.
func (w *writer) readBack(t *testing.T, s *scribe, c *http.Client, op *operation) bool {
	x := op.writes[0]
	if x.op != "put" {
		return true
	}
	a, err := s.try(c, "GET", "/v1/kv/"+x.key, nil)
	if err != nil {
		return false
	}
	if a.status != 200 || string(a.body) != x.value || a.header.Get("X-Scribe-Seq") != fmt.Sprint(op.seq) {
		t.Errorf("%s: status %d, seq %s after entry %d was acknowledged", a.what, a.status, a.header.Get("X-Scribe-Seq"), op.seq)
		return false
	}
	return true
}

// verify walks the ledger's entries of this writer beside its operations. Both are in order, since one operation ends
// before the next begins.
func (w *writer) verify(t *testing.T, entries []*entry) {
	t.Helper()
	for n, op := range w.ops {
		why := op.foundAt(t, entries)
		if why == "" {
			entries = entries[len(op.writes):]
			continue
		}
		if op.acked {
			t.Fatalf("writer %d, operation %d, acknowledged as entry %d at %s: %s", w.id, n, op.seq, op.time, why)
		}
	}
	if len(entries) > 0 {
		e := entries[0]
		t.Fatalf("writer %d: entry %d (%s %s) belongs to no operation, or is there twice, or in part", w.id, e.Seq, e.Op,
			e.key(t))
	}
}

// foundAt says why the first entries are not this operation; "" when they are.
func (op *operation) foundAt(t *testing.T, entries []*entry) string {
	if len(entries) < len(op.writes) {
		return "it is missing"
	}
	for i, x := range op.writes {
		e := entries[i]
		switch {
		case e.Op != x.op || e.key(t) != x.key || e.value(t) != x.value:
			return fmt.Sprintf("entry %d, %s %s of %d bytes, stands where %s %s should", e.Seq, e.Op, e.key(t), e.Size, x.op, x.key)
		case e.Seq != entries[0].Seq+uint64(i):
			return fmt.Sprintf("entry %d of the batch is torn from entry %d", e.Seq, entries[0].Seq)
		case op.acked && (entries[0].Seq != op.seq || e.Time != op.time):
			return fmt.Sprintf("it stands at entry %d, %s", entries[0].Seq, e.Time)
		}
	}
	return ""
}

func count(entries []entry, is func(*entry) bool) (n int) {
	for i := range entries {
		if is(&entries[i]) {
			n++
		}
	}
	return n
}
