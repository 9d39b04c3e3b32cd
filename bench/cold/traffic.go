package cold

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/tier"
)

// conditions of the way to the store.
const (
	working  int32 = iota
	refusing       // every request is answered with 503 at once
	silent         // no request is answered
	again          // as working, with all that was held up before
)

// traffic is the way of all requests to the store: it counts those that read segments, and can be closed.
type traffic struct {
	next      *http.Transport
	condition atomic.Int32

	mu sync.Mutex // guards all below, which is since take
	taken
	header string // Range of the last request
}

// taken is what was counted.
type taken struct {
	requests int
	bytes    int64  // of bodies that came
	path     string // of the last request, and the range that it asked for
	off, n   int64
}

func newTraffic() *traffic {
	// As s3store has it for itself.
	return &traffic{next: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConns:        128,
		MaxIdleConnsPerHost: 128,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}}
}

// RoundTrip implements http.RoundTripper.
func (t *traffic) RoundTrip(q *http.Request) (*http.Response, error) {
	counts := q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/"+tier.SegmentPrefix)
	if counts {
		t.mu.Lock()
		t.requests++
		t.path, t.header = q.URL.Path, q.Header.Get("Range")
		t.mu.Unlock()
	}
	switch t.condition.Load() {
	case refusing:
		if q.Body != nil {
			q.Body.Close()
		}
		return &http.Response{Status: "503 Slow Down", StatusCode: http.StatusServiceUnavailable, ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/xml"}}, Request: q,
			Body: io.NopCloser(strings.NewReader(`<Error><Code>SlowDown</Code><Message>please</Message></Error>`))}, nil
	case silent:
		<-q.Context().Done()
		if q.Body != nil {
			q.Body.Close()
		}
		return nil, context.Cause(q.Context())
	}
	a, err := t.next.RoundTrip(q)
	if err == nil && counts {
		a.Body = &counted{a.Body, t}
	}
	return a, err
}

// take returns what was counted since it was called last.
func (t *traffic) take() (taken, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got := t.taken
	t.taken = taken{}
	if got.requests == 0 {
		return got, nil
	}
	var last int64
	if _, err := fmt.Sscanf(t.header, "bytes=%d-%d", &got.off, &last); err != nil {
		return got, fmt.Errorf("a request to %s has the range %q", got.path, t.header)
	}
	got.n = last + 1 - got.off
	return got, nil
}

// reset forgets what was counted.
func (t *traffic) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = taken{}
}

// counted is the body of an answer.
type counted struct {
	io.ReadCloser
	t *traffic
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.t.mu.Lock()
	c.t.bytes += int64(n)
	c.t.mu.Unlock()
	return n, err
}
