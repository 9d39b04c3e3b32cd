package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// call is one request of the contract, whichever endpoint it goes to.
type call struct {
	method string
	target string // path and query, percent-encoded
	header map[string]string
	body   []byte
	key    string // idempotency key; empty for reads
	limit  int64  // of the answer's body; 0 is MaxResponseBytes
}

// answer is a response whose body was read to its end.
type answer struct {
	endpoint string
	status   int
	header   http.Header
	body     []byte
}

// do sends a call until an endpoint gives a final answer, which is a 2xx or an *Error, or the rounds are used up.
func (c *Client) do(ctx context.Context, r *call) (*answer, error) {
	start := c.preferred.Load()
	n := uint32(len(c.endpoints))
	maybe := false // an attempt may have been applied
	var err error
	for attempt := uint32(0); attempt < uint32(c.opts.Rounds)*n; attempt++ {
		at := (start + attempt) % n
		if attempt > 0 && attempt%n == 0 {
			if waitErr := c.opts.Sleep(ctx, c.backoff(int(attempt/n), err)); waitErr != nil {
				err = fmt.Errorf("client: %w, after %w", waitErr, err)
				break
			}
		}
		var a *answer
		a, err = c.attempt(ctx, c.endpoints[at], r)
		if err == nil {
			c.preferred.Store(at)
			return a, nil
		}
		again, applied := c.judge(ctx, err)
		maybe = maybe || applied
		if !again {
			c.preferred.Store(at) // it did answer, or the caller gave up
			break
		}
	}
	if maybe && r.key != "" {
		return nil, &OutcomeUnknownError{IdempotencyKey: r.key, Err: err}
	}
	return nil, err
}

// judge says of a failed attempt whether another one can help, and whether a write may have been applied by it.
func (c *Client) judge(ctx context.Context, err error) (again, maybe bool) {
	var e *Error
	if errors.As(err, &e) {
		switch e.Status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return true, !e.notApplied()
		case http.StatusBadGateway, http.StatusGatewayTimeout: // a cold read, or the word of a proxy
			return true, !e.notApplied()
		}
		return false, e.Status >= 500 && !e.notApplied()
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return ctx.Err() == nil, false // nothing was sent
	}
	return ctx.Err() == nil && !errors.Is(err, errTooLarge), true
}

// backoff is the wait before round n, which counts from 1.
func (c *Client) backoff(n int, err error) time.Duration {
	d := c.opts.MaxBackoff
	if shift := n - 1; shift < 20 {
		d = min(d, c.opts.MinBackoff<<shift)
	}
	d = d/2 + time.Duration(c.opts.Rand()*float64(d/2))
	var e *Error
	if errors.As(err, &e) {
		d = max(d, min(e.retryAfter, c.opts.MaxBackoff))
	}
	return d
}

func (c *Client) attempt(ctx context.Context, endpoint string, r *call) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.AttemptTimeout)
	defer cancel()
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, endpoint+r.target, body)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	for name, values := range c.opts.Header {
		req.Header[name] = values
	}
	for name, v := range r.header {
		req.Header.Set(name, v)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
		sendOnce(req)
	}
	resp, err := c.opts.HTTPClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	defer resp.Body.Close()
	limit := r.limit
	if limit == 0 || limit > c.opts.MaxResponseBytes {
		limit = c.opts.MaxResponseBytes
	}
	a := &answer{endpoint: cmp.Or(c.opts.Name, endpoint), status: resp.StatusCode, header: resp.Header}
	if a.body, err = readBody(resp, limit); err != nil {
		return nil, fmt.Errorf("client: reading the answer of %s: %w", a.endpoint, err)
	}
	if a.status < 200 || a.status > 299 {
		return nil, problemOf(a)
	}
	return a, nil
}

// sendOnce keeps net/http from repeating a request by itself, which it does where there is an Idempotency-Key and the body
// can be had again: the second attempt may fail to connect, and its error would say that nothing was sent.
func sendOnce(req *http.Request) {
	req.GetBody = nil
	if req.Body == nil || req.Body == http.NoBody {
		req.Body = io.NopCloser(bytes.NewReader(nil)) // empty, but net/http cannot know that it may be read again
	}
}

// readBody reads at most limit bytes. A declared length is trusted only as far as that.
func readBody(resp *http.Response, limit int64) ([]byte, error) {
	if resp.ContentLength > limit {
		return nil, errTooLarge
	}
	var buf bytes.Buffer
	const most = 1 << 20 // before any byte has come
	if resp.ContentLength > 0 {
		buf.Grow(int(min(resp.ContentLength, most)) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, errTooLarge
	}
	return buf.Bytes(), nil
}
