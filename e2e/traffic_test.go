package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

// traffic is a steady load of writes that must all succeed. Every writer sends one write at a time, with an idempotency
// key of its own, and sends it again, to the next node, until it is acknowledged.
type traffic struct {
	c       *cluster
	name    string
	size    int
	stop    chan struct{}
	running sync.WaitGroup

	mu    sync.Mutex
	nodes []*peer // where writes go
	acks  []ack
}

// ack is one acknowledged write.
type ack struct {
	key, value string
	seq        uint64
	call, done time.Time // of the first attempt's sending, and of the acknowledgement
	last       time.Time // of the sending that was acknowledged
	attempts   int
	by         *peer
}

// startTraffic starts writers against these nodes, each writer beginning at another.
func (c *cluster) startTraffic(name string, writers, size int, nodes ...*peer) *traffic {
	c.t.Helper()
	f := &traffic{c: c, name: name, size: size, stop: make(chan struct{}), nodes: nodes}
	for id := range writers {
		client := clientOf(c.t)
		f.running.Go(func() { f.write(client, id) })
	}
	c.t.Cleanup(func() { f.end() })
	return f
}

// use changes the nodes that writes go to.
func (f *traffic) use(nodes ...*peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = nodes
}

func (f *traffic) target(turn int) *peer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[turn%len(f.nodes)]
}

// write is the life of one writer. It ends between two writes, never within one.
func (f *traffic) write(client *http.Client, id int) {
	rnd := rand.New(rand.NewPCG(uint64(id), 77))
	turn := id
	for n := 0; ; n++ {
		select {
		case <-f.stop:
			return
		default:
		}
		key := fmt.Sprintf("%s/w%d/%d", f.name, id, n)
		w := ack{key: key, value: fmt.Sprintf("%d of %d %s", n, id, strings.Repeat("x", rnd.IntN(f.size+1))), call: time.Now()}
		if !f.push(client, &w, &turn, rnd) {
			return
		}
		f.mu.Lock()
		f.acks = append(f.acks, w)
		f.mu.Unlock()
	}
}

// push sends one write until it is acknowledged.
func (f *traffic) push(client *http.Client, w *ack, turn *int, rnd *rand.Rand) bool {
	deadline := time.Now().Add(patience)
	for {
		w.attempts++
		w.by, w.last = f.target(*turn), time.Now()
		a, v, err := w.by.attempt(client, patience, "PUT", "/v1/kv/"+url.PathEscape(w.key), []byte(w.value), "Idempotency-Key", w.key)
		switch {
		case v == answered && a.status == 201:
			w.done = time.Now()
			var r receipt
			if err := a.read(&r); err != nil {
				f.c.t.Errorf("%s: %v", a.what, err)
				return false
			}
			w.seq = r.Seq
			return true
		case v == answered || v == nonsense:
			f.c.t.Errorf("%s: status %d: %.300s (%v)", a.what, a.status, a.body, err)
			return false
		case time.Now().After(deadline):
			if a != nil {
				err = fmt.Errorf("status %d: %.300s", a.status, a.body)
			}
			f.c.t.Errorf("the write of %s was not acknowledged in %v and %d attempts; last, at node %d: %v", w.key, patience,
				w.attempts, w.by.id, err)
			return false
		}
		*turn++
		time.Sleep(time.Duration(1+rnd.IntN(10)) * time.Millisecond) // a client's manners, no synchronisation
	}
}

// end stops the writers and waits for the writes that are under way.
func (f *traffic) end() {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	f.running.Wait()
}

// since returns the acknowledged writes that were done after a time, by the time of their acknowledgement.
func (f *traffic) since(from time.Time) []ack {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []ack
	for _, a := range f.acks {
		if a.done.After(from) {
			out = append(out, a)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].done.Before(out[j].done) })
	return out
}

// awaitAck waits until a write that was sent for the first time after from has been acknowledged, and returns it.
func (f *traffic) awaitAck(from time.Time) (first ack) {
	f.c.t.Helper()
	eventually(f.c.t, func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		found := false
		for i := len(f.acks) - 1; i >= 0 && f.acks[i].done.After(from); i-- {
			if a := f.acks[i]; a.call.After(from) && (!found || a.done.Before(first.done)) {
				first, found = a, true
			}
		}
		if !found {
			return "no write is acknowledged"
		}
		return ""
	})
	return first
}

// gap is the longest time between two acknowledgements from one time to another.
func (f *traffic) gap(from, to time.Time) (longest time.Duration, at time.Duration) {
	last := from
	look := func(next time.Time) {
		if d := next.Sub(last); d > longest {
			longest, at = d, last.Sub(from)
		}
		last = next
	}
	for _, a := range f.since(from) {
		if a.done.After(to) {
			break
		}
		look(a.done)
	}
	look(to)
	return longest, at
}

// verify checks that the ledger has every acknowledged write once, under its seq, and nothing of this traffic that was
// not acknowledged.
func (f *traffic) verify(t testing.TB, entries []entry) {
	t.Helper()
	at := make(map[string]*entry)
	for i := range entries {
		e := &entries[i]
		key := e.key(t)
		if !strings.HasPrefix(key, f.name+"/") {
			continue
		}
		if at[key] != nil {
			t.Fatalf("the write of %s stands twice: entries %d and %d", key, at[key].Seq, e.Seq)
		}
		at[key] = e
	}
	for _, a := range f.acks {
		e := at[a.key]
		switch {
		case e == nil:
			t.Fatalf("the write of %s, acknowledged as entry %d by node %d after %d attempts, is not there", a.key, a.seq, a.by.id,
				a.attempts)
		case e.Seq != a.seq || e.value(t) != a.value:
			t.Fatalf("the write of %s, acknowledged as entry %d, is entry %d", a.key, a.seq, e.Seq)
		}
		delete(at, a.key)
	}
	for key, e := range at {
		t.Fatalf("entry %d, %s, was never acknowledged", e.Seq, key)
	}
}

// latencies are the times that the writes took, sorted.
func latencies(acks []ack) []time.Duration {
	out := make([]time.Duration, len(acks))
	for i, a := range acks {
		out[i] = a.done.Sub(a.call)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// quantile is a value of a sorted list; 0 of none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
