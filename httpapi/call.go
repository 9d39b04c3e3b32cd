package httpapi

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
)

const (
	// smallBytes is what a response may hold without drawing on the budget.
	smallBytes = 64 << 10
	// writePiece is what a client must take within Options.WriteTimeout.
	writePiece = 256 << 10
	// keepScratch bounds the buffers that go back to the pool with a call.
	keepScratch = 64 << 10
)

// call is one request on its way through a handler, owned by the request's goroutine. It is an io.Writer of the
// response body. Handlers fill head, then send; or they return an error, which is answered as a problem.
type call struct {
	api    *API
	w      http.ResponseWriter
	r      *http.Request
	route  *route
	rawKey string // the piece of the raw target behind the route's prefix; for an unrouted call the whole path

	id     []byte    // request id, printable ASCII
	head   headers   // response headers not yet sent
	status int       // sent; 0 while there is nothing on the wire
	start  time.Time // of the handling
	last   time.Time // of the last piece sent
	held   int64     // bytes of the budget that this call has
	stale  bool      // a read of the state as it is here,
	seen   uint64    // which was applied up to this seq
	unread bool      // the body was given up on: the connection cannot be used again
	// untyped says that the answer is a value of application/octet-stream, by its own content type or for want of one.
	// Browsers save such a value and never guess at it, so it goes out without nosniff: see contentLength for what a
	// ninth header costs.
	untyped bool

	// Scratch space, kept between calls.
	key []byte
	out []byte
}

// serve runs one request: identity, handler, error mapping, accounting.
func (a *API) serve(rt *route, rawKey string, w http.ResponseWriter, r *http.Request) {
	c, _ := a.calls.Get().(*call) // the pool's New makes nothing else
	c.w, c.r, c.route, c.rawKey = w, r, rt, rawKey
	c.start = time.Now()
	c.id = a.ids.appendFor(c.id[:0], r)
	c.head.reset()
	c.head.set("X-Request-Id", c.id)
	a.inFlight.Add(1)
	defer c.finish()
	if !rt.brief {
		c.endRead()
	}
	if r.Header["Expect"] != nil {
		c.extendWrite() // net/http writes the 100 (Continue) by itself
	}
	if err := rt.handler(c); err != nil {
		c.fail(err)
	}
}

// finish gives back what the call holds, counts it and logs it. It runs deferred, so that a panic is answered and
// counted like any error; http.ErrAbortHandler goes on to net/http, which then closes the connection.
func (c *call) finish() {
	fault := recover()
	if fault != nil && fault != http.ErrAbortHandler { //nolint:errorlint // the very value is the signal
		c.logger().Error("panic in handler", "panic", fault, "stack", string(debug.Stack()))
		if c.status == 0 {
			c.answer(&problem{status: http.StatusInternalServerError, code: codeInternal,
				detail: "an error that should not happen; the log has it under the request id"})
			fault = nil
		} else {
			fault = http.ErrAbortHandler
		}
	}
	a := c.api
	a.budget.release(c.held)
	a.inFlight.Add(-1)
	if c.last.IsZero() {
		c.last = time.Now()
	}
	took := c.last.Sub(c.start)
	c.route.metrics.observe(c.status, took)
	if a.opt.Logger.Enabled(c.r.Context(), slog.LevelDebug) {
		c.logger().Debug("request", "status", c.status, "took", took)
	}
	*c = call{api: a, id: c.id, head: c.head, key: trim(c.key), out: trim(c.out)}
	a.calls.Put(c)
	if fault != nil {
		panic(fault)
	}
}

// trim returns an empty slice over b's space, or nil when that is too much to keep.
func trim(b []byte) []byte {
	if cap(b) > keepScratch {
		return nil
	}
	return b[:0]
}

// logger returns a logger that names the request. It is made when there is something to say, which is seldom.
func (c *call) logger() *slog.Logger {
	l := c.api.opt.Logger.With("request_id", string(c.id), "method", c.route.method, "route", c.route.class.String())
	if parent := c.r.Header.Get("Traceparent"); parent != "" {
		l = l.With("traceparent", parent)
	}
	return l
}

// fail answers an error, or cuts the connection when an answer is already under way.
func (c *call) fail(err error) {
	p := problemOf(err, c.route.writes, c.route.batch)
	switch {
	case p.status == http.StatusInternalServerError:
		c.logger().Error("request failed", "code", p.code, "err", err)
	case p.status > http.StatusInternalServerError && c.route.class != classHealth: // that a probe asks is no failure
		c.logger().Warn("request failed", "code", p.code, "err", err)
	}
	if c.status != 0 {
		panic(http.ErrAbortHandler)
	}
	c.answer(p)
}

// answer sends a problem. Headers that the handler had prepared for its success are dropped.
func (c *call) answer(p *problem) {
	c.untyped = false
	c.head.reset()
	c.head.set("X-Request-Id", c.id)
	c.head.add("Content-Type", "application/problem+json")
	if p.allow != "" {
		c.head.add("Allow", p.allow)
	}
	if c.stale {
		c.head.addUint("X-Scribe-Applied", c.seen)
	}
	if p.hasSeq {
		if p.status == http.StatusPreconditionFailed {
			c.head.addETag(p.seq)
		}
		c.head.addUint("X-Scribe-Seq", p.seq)
	}
	switch p.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInsufficientStorage:
		c.head.add("Retry-After", "1")
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		if p.retryAfter > 0 {
			c.head.addUint("Retry-After", retrySeconds(p.retryAfter))
		}
	case http.StatusRequestedRangeNotSatisfiable:
		c.head.add("Content-Range", "bytes */"+strconv.Itoa(p.size))
	}
	if p.hangup || c.unread {
		c.head.add("Connection", "close")
	}
	c.out = appendProblem(c.out[:0], p, c.id)
	c.send(p.status, c.out)
}

// sendJSON sends a whole JSON body.
func (c *call) sendJSON(status int, body []byte) {
	c.head.add("Content-Type", "application/json")
	c.send(status, body)
}

// send sends the status, the prepared headers with the body's length, and the body. An error of the connection is not
// reported: there is nobody left to tell.
func (c *call) send(status int, body []byte) {
	if status != http.StatusNoContent && status != http.StatusNotModified {
		c.contentLength(len(body))
	}
	c.begin(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.Write(body)
	}
}

// netBuffer is the size up to which net/http holds a body back until the handler returns, and then finds its length.
const netBuffer = 2048

// contentLength announces a body that will be sent whole. A short one announces itself, and a header map of at most
// eight entries costs net/http half of what a larger one does.
func (c *call) contentLength(n int) {
	if n > netBuffer || c.r.Method == http.MethodHead {
		c.head.addUint("Content-Length", uint64(n))
	}
}

// begin sends the status line and the prepared headers.
func (c *call) begin(status int) {
	h := c.w.Header()
	c.head.moveTo(h)
	if !c.untyped {
		h["X-Content-Type-Options"] = c.api.fixed.nosniff
	}
	c.status = status
	c.extendWrite()
	c.w.WriteHeader(status)
}

// Write sends a piece of the body behind begin. A long piece is sent in parts, each with time of its own.
func (c *call) Write(p []byte) (int, error) {
	done := 0
	for len(p) > 0 {
		part := p[:min(len(p), writePiece)]
		if len(part) > smallBytes/2 {
			c.extendWrite()
		}
		n, err := c.w.Write(part)
		done += n
		if err != nil {
			return done, err
		}
		p = p[len(part):]
	}
	return done, nil
}

// hold takes n more bytes of the budget, to be given back when the call ends.
func (c *call) hold(n int64) error {
	got, err := c.api.budget.acquire(c.r.Context(), c.held, n)
	c.held += got
	return err
}

// rawQuery returns the target's query as it was sent.
func (c *call) rawQuery() string {
	_, q := splitTarget(c.r)
	return q
}

// readKey returns the key of the target in scratch space: it is gone when the call ends. Whatever was once written can be
// read, also when Options.MaxKeyBytes has been made less since.
func (c *call) readKey() ([]byte, error) {
	key, err := decodeKey(c.key[:0], c.rawKey, ledger.MaxKeyBytes)
	c.key = key
	return key, err
}

// barrier makes the reads that follow as fresh as the query asks.
func (c *call) barrier(q *query) error {
	want, err := q.consistency()
	if err != nil {
		return err
	}
	if want.stale && !want.bounded {
		return c.applied()
	}
	// No node can tell how old its state is: one that leads may have been paused, and be followed by another leader. But
	// it can ask, and then its state is not old at all.
	wait := c.patience()
	defer wait.end()
	if err := c.api.backend.Barrier(wait); err != nil {
		return err
	}
	if want.stale {
		return c.applied()
	}
	return nil
}

// applied tells how far the state is that a stale read is about to see. It is called before the read, so what is read is
// at least that far.
func (c *call) applied() error {
	next := c.api.backend.NextSeq()
	if next == 0 {
		// An empty ledger, or none at all: any read of one that is not there is an error.
		_, err := c.api.backend.Exists([]byte{0})
		return err
	}
	c.seen, c.stale = next-1, true
	c.head.addUint("X-Scribe-Applied", c.seen)
	return nil
}
