package tier

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/vfs"
)

// ReadAheadBytes is the most memory that a Ranges holds of what is read ahead, unless it is told otherwise.
const ReadAheadBytes = 64 << 20

// RangesOptions are the settings of a Ranges. Zero values mean the defaults given.
type RangesOptions struct {
	// Deadline of one read, waiting and retries included. Default 10 s.
	Deadline time.Duration
	// InFlight bounds the requests under way at one time; those that read ahead have half of it. Default 64.
	InFlight int
	// Attempts bounds how often one read is tried when the store fails. Default 3.
	Attempts int
	// HedgeShare is the share of reads for which a second request may be sent because the first one takes longer than
	// most have of late. Default 0.05; negative: none.
	HedgeShare float64
	// AheadBytes bounds what is held of ranges that were announced and not read yet. Default ReadAheadBytes; negative: none
	// are.
	AheadBytes int64
	// Cache keeps ranges on disk. It stays the caller's. nil: none.
	Cache *RangeCache
	// Inline makes reads use no goroutine, for simulations: no hedging, nothing read ahead, and a store that
	// does not return holds its caller beyond the deadline.
	Inline bool
	// Now and Sleep are the clock, Random draws from [0, 1) and is safe for concurrent use. nil: the real ones.
	Now    func() time.Time
	Sleep  func(ctx context.Context, d time.Duration) error
	Random func() float64
	// Registerer gets the metrics. nil: none.
	Registerer prometheus.Registerer
}

// Ranges reads ranges of the objects of one store: each range once for all who ask for it at a time, within a deadline,
// with a bound on the requests under way, and at once with an error while the store is known to be down. It is
// safe for concurrent use.
//
// It owns a goroutine for every request under way; Close ends and joins them.
type Ranges struct {
	store   Store
	opts    RangesOptions
	slots   chan struct{} // one for every request under way
	circuit circuit
	recent  latencies
	hedges  *Budget
	retries *Budget
	ahead   *ahead
	metrics *rangeMetrics

	ctx    context.Context // ended by Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // of requests under way

	mu      sync.Mutex
	closed  bool                 // guarded by mu: wg grows no more
	flights map[rangeKey]*flight // guarded by mu
}

// rangeKey names a range of an object.
type rangeKey struct {
	object string
	off, n int64
}

// flight is a request that several reads wait for.
type flight struct {
	done chan struct{}
	data []byte // set before done is closed, and not changed any more
	err  error
}

// errClosed is the cause of reads after Close.
var errClosed = errors.New("tier: reading has ended")

// NewRanges returns a reader of the store's objects.
func NewRanges(store Store, opts RangesOptions) *Ranges {
	opts.Deadline = cmp.Or(opts.Deadline, 10*time.Second)
	opts.InFlight = max(2, cmp.Or(opts.InFlight, 64))
	opts.Attempts = cmp.Or(opts.Attempts, 3)
	opts.HedgeShare = cmp.Or(opts.HedgeShare, 0.05)
	opts.AheadBytes = cmp.Or(opts.AheadBytes, ReadAheadBytes)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Sleep == nil {
		opts.Sleep = sleep
	}
	if opts.Random == nil {
		opts.Random = rand.Float64
	}
	r := &Ranges{
		store: store, opts: opts, slots: make(chan struct{}, opts.InFlight), flights: make(map[rangeKey]*flight),
		hedges: NewBudget(maxHedges, opts.HedgeShare), retries: NewBudget(maxRetries, retryShare),
	}
	r.circuit = circuit{random: opts.Random}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.ahead = newAhead(r)
	r.metrics = newRangeMetrics(r, opts.Registerer)
	return r
}

// Close ends all reads, which fail, and waits for the requests under way.
func (r *Ranges) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
	r.metrics.close()
	return nil
}

// start runs f in a goroutine that Close joins; false after Close.
func (r *Ranges) start(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.wg.Go(f)
	return true
}

// copies says what a read may be answered from.
type copies uint8

const (
	allCaches copies = iota
	noCache          // what was read ahead, and what another read is reading, but not the disk
	fromStore        // a request of its own alone
)

// read fills p with the bytes of o from off on, which lie within it.
func (r *Ranges) read(o *SealedObject, p []byte, off int64, from copies) error {
	deadline := time.Now().Add(r.opts.Deadline)
	if from != fromStore && r.ahead.read(o, p, off, deadline) {
		return nil
	}
	ctx, cancel := context.WithDeadline(r.ctx, deadline)
	defer cancel()
	if from == fromStore {
		r.opts.Cache.Drop(o, off, len(p))
		r.ahead.drop(o, off, int64(len(p)))
		data, err := r.request(ctx, o, off, int64(len(p)))
		copy(p, data)
		return err
	}
	if from == allCaches && r.opts.Cache.Get(o, p, off) {
		return nil
	}
	data, led, err := r.shared(ctx, o, off, int64(len(p)))
	if err != nil {
		return err
	}
	copy(p, data)
	if led && from == allCaches {
		r.opts.Cache.Offer(o, data, off)
	}
	return nil
}

// shared requests a range, or waits for the same request of another read. led says that it was this read's own.
func (r *Ranges) shared(ctx context.Context, o *SealedObject, off, n int64) (data []byte, led bool, err error) {
	key := rangeKey{o.Name, off, n}
	for waited := false; ; waited = true {
		r.mu.Lock()
		f := r.flights[key]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			r.flights[key] = f
			r.mu.Unlock()
			f.data, f.err = r.request(ctx, o, off, n)
			r.mu.Lock()
			delete(r.flights, key)
			r.mu.Unlock()
			close(f.done)
			return f.data, true, f.err
		}
		r.mu.Unlock()
		r.metrics.joined.Inc()
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, false, r.ended(ctx, o)
		}
		var late *UnavailableError
		if errors.As(f.err, &late) && late.Timeout && ctx.Err() == nil && !waited {
			continue // its deadline may have been earlier than this one's
		}
		return f.data, false, f.err
	}
}

// request asks the store for a range, and again within bounds when it fails.
func (r *Ranges) request(ctx context.Context, o *SealedObject, off, n int64) ([]byte, error) {
	for try := 1; ; try++ {
		if wait, err := r.circuit.allow(r.opts.Now()); err != nil {
			r.metrics.rejected.Inc()
			return nil, &UnavailableError{Object: o.Name, RetryAfter: wait, Err: err}
		}
		data, err := r.hedged(ctx, o, off, n)
		if err = r.judge(o, err); err == nil {
			r.hedges.Succeeded()
			r.retries.Succeeded()
			return data, nil
		}
		var u *UnavailableError
		if !errors.As(err, &u) {
			return nil, err
		}
		after, again := Temporary(u.Err)
		pause := Backoff{Base: 50 * time.Millisecond, Max: maxPause}.Delay(try, after, r.opts.Random())
		deadline, _ := ctx.Deadline()
		if !again || try >= r.opts.Attempts || time.Until(deadline) <= pause || !r.retries.Take() {
			return nil, err
		}
		r.metrics.retried.Inc()
		if r.opts.Sleep(ctx, pause) != nil {
			return nil, err
		}
	}
}

// Failing is why reads fail at once, as far as the last minute has shown; nil when they do not.
func (r *Ranges) Failing() error { return r.circuit.why(r.opts.Now()) }

// A tenth of the reads that succeed may be tried again, and maxRetries at once after a quiet time.
const (
	retryShare = 0.1
	maxRetries = 10
	maxHedges  = 4
)

// judge makes of the store's error what a reader gets, and tells the circuit.
func (r *Ranges) judge(o *SealedObject, err error) error {
	switch name := r.store.Name(); {
	case err == nil:
		r.circuit.worked()
		return nil
	case errors.As(err, new(*vfs.CorruptError)):
		r.circuit.worked() // the store is there, the object is not
		return err
	case errors.Is(err, ErrNotFound):
		r.circuit.worked()
		return o.damaged(name, 0, "the object is recorded, and missing in the store: %v", err)
	case errors.Is(err, ErrRange):
		r.circuit.worked()
		return o.damaged(name, 0, "the object is shorter than the %d bytes that are recorded: %v", o.Bytes, err)
	case r.ctx.Err() != nil:
		return &UnavailableError{Object: o.Name, Err: errClosed}
	}
	u := unavailable(o.Name, err)
	r.circuit.failed(r.opts.Now(), u.Err)
	if u.Timeout {
		r.metrics.timeouts.Inc()
	} else {
		r.metrics.failures.Inc()
	}
	return u
}

// ended is the error of a read whose time is over, or which Close ended.
func (r *Ranges) ended(ctx context.Context, o *SealedObject) error {
	if r.ctx.Err() != nil {
		return &UnavailableError{Object: o.Name, Err: errClosed}
	}
	return unavailable(o.Name, Ended("get", o.Name, ctx.Err()))
}

// attempt makes one request, once a slot is free. What it returns lies in room, if that is large enough.
func (r *Ranges) attempt(ctx context.Context, o *SealedObject, off, n int64, room []byte) ([]byte, error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, Ended("get", o.Name, ctx.Err())
	}
	defer func() { <-r.slots }()
	begun := r.opts.Now()
	data, err := r.get(ctx, o, off, n, room)
	if took := r.opts.Now().Sub(begun); n <= sampledBytes && (err == nil || errors.Is(ctx.Err(), context.Canceled)) {
		r.recent.add(took) // one that lost against its hedge took at least so long
	}
	r.metrics.requests.Inc()
	r.metrics.bytes.Add(float64(len(data)))
	return data, err
}

// get makes one request and reads its body.
func (r *Ranges) get(ctx context.Context, o *SealedObject, off, n int64, room []byte) (data []byte, err error) {
	body, err := r.store.Get(ctx, o.Name, off, n)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := body.Close(); err == nil && cerr != nil {
			data, err = nil, cerr
		}
	}()
	if err := o.check(r.store.Name(), body.Object); err != nil {
		return nil, err
	}
	data = slices.Grow(room[:0], int(n))[:n]
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, cut(o.Name, err)
	}
	return data, nil
}
