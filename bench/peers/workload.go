package main

import (
	"encoding/hex"
	"math/rand/v2"
	"time"
)

const (
	keyBytes   = 16
	valueBytes = 256
	// poolBytes is what values are cut from: incompressible, so that no store gains by compressing.
	poolBytes = 1 << 20
	// maxErrors ends a run: answers that fail at once would be asked for again for ever.
	maxErrors = 1000
)

// kind is what a request does.
type kind int

const (
	put kind = iota
	get
)

func (k kind) String() string {
	if k == put {
		return "PUT"
	}
	return "GET"
}

// load is one run of one driver.
type load struct {
	kind  kind
	addrs []string // host:port, one a member
	conns int      // callers, each with one request in flight, spread evenly over addrs
	keys  int      // different keys
	fill  bool     // every key once, in turn, then the run ends; else keys at random for the time below
	warm  time.Duration
	// measured follows warm. edge is called as it begins and as it ends.
	measured time.Duration
	edge     func()
	seed     uint64
}

// outcome is what a driver saw between the edges. Answers that failed count as errors and as nothing else.
type outcome struct {
	ops, errors int
	firstError  string
	elapsed     time.Duration
	p50, p99    time.Duration
}

// driver puts a load on a cluster.
type driver interface {
	run(l load) (outcome, error)
}

// work draws the requests of one caller, or of one event loop.
type work struct {
	rng    *rand.Rand
	pool   []byte
	keys   int
	issued int
	limit  int // requests in all; 0 = no limit
}

func newWork(l load, caller int) *work {
	w := &work{rng: rand.New(rand.NewPCG(l.seed, uint64(caller))), keys: l.keys, pool: make([]byte, poolBytes)}
	if l.kind == get {
		w.pool = nil
	}
	for i := 0; i+8 <= len(w.pool); i += 8 {
		v := w.rng.Uint64()
		for j := range 8 {
			w.pool[i+j] = byte(v >> (8 * j))
		}
	}
	if l.fill {
		w.limit = l.keys
	}
	return w
}

// next draws a key's number, or says that there is nothing left to do.
func (w *work) next() (number int, ok bool) {
	if w.limit > 0 {
		if w.issued == w.limit {
			return 0, false
		}
		w.issued++
		return w.issued - 1, true
	}
	return w.rng.IntN(w.keys), true
}

// value is valid until the work is dropped, and must not be changed.
func (w *work) value() []byte {
	from := w.rng.IntN(len(w.pool) - valueBytes)
	return w.pool[from : from+valueBytes]
}

// appendKey appends key number i: 16 hexadecimal digits that look drawn at random, and differ for different i since
// the mixing (splitmix64) is a bijection.
func appendKey(out []byte, i int) []byte {
	z := uint64(i)*0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	var raw [8]byte
	for j := range raw {
		raw[j] = byte(z >> (56 - 8*j))
	}
	return hex.AppendEncode(out, raw[:])
}
