package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// history is what clients did to some keys and what they were told. Every attempt that writes leaves a mark in the
// ledger that nothing else leaves: a value, or the key of a put beside a deletion. So the ledger itself tells afterwards
// which of the unclear attempts took effect.
type history struct {
	c     *cluster
	nodes []*peer
	keys  int
	began time.Time
	over  atomic.Int64 // operations that are over

	mu  sync.Mutex
	ops []*action
}

type kind byte

const (
	read     kind = 'r'
	put      kind = 'p'
	replace  kind = 'c' // a put with If-Match
	deletion kind = 'd' // a batch of a deletion and a put of the mark
)

// action is one operation of a client, with all its attempts.
type action struct {
	kind   kind
	client int
	key    string
	mark   string // of writes
	idem   bool   // sent again until the outcome is clear
	match  int64  // seq of If-Match

	// What came of it. Times are nanoseconds from the beginning.
	call, last, ret int64 // first attempt sent, last attempt sent, answer
	clear           bool  // the last attempt was answered
	unsure          bool  // an attempt has an unclear outcome
	sent            int   // attempts that may have reached a node
	status          int
	seq             int64 // of the receipt, or of the version that was read; -1 for none
	got             string
	node            uint64
}

// run lets clients do operations through all nodes until stop is closed, and returns when the last is over.
func (h *history) run(clients int, stop <-chan struct{}, seed uint64) {
	h.began = time.Now()
	var running sync.WaitGroup
	for id := range clients {
		client := clientOf(h.c.t)
		rnd := rand.New(rand.NewPCG(seed, uint64(id)))
		running.Go(func() {
			var known sync.Map // the newest seq that this client saw, by key
			for n := 0; !h.c.t.Failed(); n++ {
				select {
				case <-stop:
					return
				default:
				}
				h.do(client, h.next(rnd, id, n, &known), rnd, &known)
			}
		})
	}
	running.Wait()
}

// done is how many operations are over.
func (h *history) done() int { return int(h.over.Load()) }

// count says what became of the operations.
func (h *history) count() (acked, refused, unsure, reads int) {
	for _, a := range h.ops {
		switch {
		case a.kind == read:
			reads++
		case a.acked():
			acked++
		case a.clear:
			refused++
		default:
			unsure++
		}
	}
	return
}

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// next makes up an operation.
func (h *history) next(rnd *rand.Rand, client, n int, known *sync.Map) *action {
	a := &action{kind: put, client: client, key: fmt.Sprintf("key-%03d", rnd.IntN(h.keys)), seq: -1,
		mark: fmt.Sprintf("c%d-%d", client, n), idem: rnd.IntN(2) == 0}
	switch roll := rnd.IntN(100); {
	case roll < 45:
		a.kind = read
	case roll < 55:
		a.kind = deletion
	case roll < 65:
		if seq, ok := known.Load(a.key); ok {
			a.kind, a.match = replace, seq.(int64)
		}
	}
	return a
}

// attemptPatience is how long a client of a history waits for an answer. It is longer than a pause, so that what was
// queued at a node that is paused is answered by it afterwards.
const attemptPatience = 5 * time.Second

// do does one operation and keeps it. Attempts that were certainly not applied are made again, unclear ones when the
// operation has an idempotency key.
func (h *history) do(client *http.Client, a *action, rnd *rand.Rand, known *sync.Map) {
	method, path, body, headers := a.request()
	deadline := time.Now().Add(patience)
	a.call = h.now()
	for {
		p := h.nodes[rnd.IntN(len(h.nodes))]
		a.last, a.node = h.now(), p.id
		ans, v, err := p.attempt(client, attemptPatience, method, path, body, headers...)
		a.ret = h.now()
		if v != notApplied {
			a.sent++
		}
		switch v {
		case answered:
			a.clear = true
			if err := a.take(ans); err != nil {
				h.c.t.Errorf("%s: %v: status %d: %.300s", ans.what, err, ans.status, ans.body)
			}
			if a.seq >= 0 {
				known.Store(a.key, a.seq)
			}
		case unclear:
			a.unsure = true
		case nonsense:
			a.unsure = true
			h.c.t.Errorf("%s: status %d: %.300s (%v)", ans.what, ans.status, ans.body, err)
		}
		again := v == notApplied || v == unclear && (a.idem || a.kind == read)
		if !again || time.Now().After(deadline) {
			break
		}
		time.Sleep(time.Duration(1+rnd.IntN(20)) * time.Millisecond) // a client's manners, no synchronisation
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, a)
	h.over.Add(1)
}

func (a *action) request() (method, path string, body []byte, headers []string) {
	method, path = "PUT", "/v1/kv/"+a.key
	switch a.kind {
	case read:
		return "GET", path, nil, nil
	case put:
		body = []byte(a.mark)
	case replace:
		body = []byte(a.mark)
		headers = append(headers, "If-Match", fmt.Sprintf("%q", strconv.FormatInt(a.match, 10)))
	case deletion:
		method, path = "POST", "/v1/batch"
		body = fmt.Appendf(nil, `{"ops":[{"op":"delete","key":%q},{"op":"put","key":"mark/%s","value":""}]}`, a.key, a.mark)
		headers = append(headers, "Content-Type", "application/json")
	}
	if a.idem {
		headers = append(headers, "Idempotency-Key", a.mark)
	}
	return method, path, body, headers
}

// take reads an answer.
func (a *action) take(ans *answer) error {
	a.status = ans.status
	header := func(name string) error {
		text := strings.Trim(ans.header.Get(name), `"`)
		if text == "" {
			return nil
		}
		seq, err := strconv.ParseInt(text, 10, 64)
		a.seq = seq
		return err
	}
	switch {
	case a.kind == read && a.status == 200:
		a.got = string(ans.body)
		return header("X-Scribe-Seq")
	case a.kind == read && a.status == 404:
		return header("X-Scribe-Seq")
	case a.kind == deletion && a.status == 201:
		var r batchReceipt
		err := ans.read(&r)
		a.seq = int64(r.FirstSeq)
		return err
	case a.kind == deletion && a.status == 404, a.kind == replace && a.status == 412:
		return nil
	case (a.kind == put || a.kind == replace) && a.status == 201:
		var r receipt
		err := ans.read(&r)
		a.seq = int64(r.Seq)
		return err
	}
	return fmt.Errorf("no answer to such a request")
}

// acked says whether the write was acknowledged.
func (a *action) acked() bool {
	return a.clear && a.kind != read && (a.status == 200 || a.status == 201)
}

// settle holds the history against the ledger, read at rest: every acknowledged write stands there under its seq, none
// stands there twice, none that was refused stands there, and nothing does that nobody sent. It returns by their marks
// where the writes stand.
func (h *history) settle(t testing.TB, entries []entry) map[string]int64 {
	t.Helper()
	at := make(map[string]int64)
	for i := range entries {
		e := &entries[i]
		key := e.key(t)
		mark := ""
		switch {
		case e.Op == "put" && strings.HasPrefix(key, "key-"):
			mark = e.value(t)
		case e.Op == "put" && strings.HasPrefix(key, "mark/"):
			mark = strings.TrimPrefix(key, "mark/")
			if i == 0 || entries[i-1].Op != "delete" {
				t.Fatalf("entry %d, %s, does not stand behind its deletion", e.Seq, key)
			}
		default:
			continue
		}
		if first, ok := at[mark]; ok {
			t.Fatalf("%s stands twice: entries %d and %d", mark, first, e.Seq)
		}
		at[mark] = int64(e.Seq)
		if strings.HasPrefix(key, "mark/") {
			at[mark]-- // the deletion is what counts
		}
	}
	known := make(map[string]bool)
	for _, a := range h.ops {
		if a.kind == read {
			continue
		}
		known[a.mark] = true
		seq, there := at[a.mark]
		switch {
		case a.acked() && !there:
			t.Fatalf("lost: %s was acknowledged as entry %d by node %d and is not there", a, a.seq, a.node)
		case a.acked() && seq != a.seq:
			t.Fatalf("%s was acknowledged as entry %d by node %d and is entry %d", a, a.seq, a.node, seq)
		case !a.acked() && !a.unsure && there:
			t.Fatalf("%s was refused by node %d with status %d, and is entry %d", a, a.node, a.status, seq)
		}
	}
	for mark, seq := range at {
		if !known[mark] {
			t.Fatalf("entry %d holds %s, which nobody wrote", seq, mark)
		}
	}
	return at
}

func (a *action) String() string {
	return fmt.Sprintf("%c %s %s of client %d at node %d (idempotent %v, unsure %v, %d attempts sent, from %v, last from %v to %v, "+
		"If-Match %d)", a.kind, a.key, a.mark, a.client, a.node, a.idem, a.unsure, a.sent, time.Duration(a.call),
		time.Duration(a.last), time.Duration(a.ret), a.match)
}

// never is the return of an operation whose client was never told.
const never = math.MaxInt64
