package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// verdict is what a client knows of a request that it sent.
type verdict int

const (
	answered   verdict = iota // answered: the status says how
	notApplied                // certainly not applied: it may be sent again as it is
	unclear                   // it may have been applied, or may yet be
	nonsense                  // an answer that no client should ever see
)

// attempt sends one request to a node and says what is known of it afterwards. It reads the error codes as docs/api.md
// has them. It may be called from any goroutine, and never fails the test by itself.
func (p *peer) attempt(c *http.Client, patience time.Duration, method, path string, body []byte, headers ...string) (
	*answer, verdict, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.addr+path, bytes.NewReader(body))
	if err != nil {
		return &answer{t: p.c.t, what: method + " " + path}, nonsense, err
	}
	// Without a way to get the body again, net/http does not repeat a write with an idempotency key by itself, and an error
	// of the dial means that nothing was sent.
	req.GetBody = nil
	for i := 0; i < len(headers); i += 2 {
		req.Header[http.CanonicalHeaderKey(headers[i])] = []string{headers[i+1]}
	}
	resp, err := c.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, notApplied, err
		}
		return nil, unclear, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, unclear, err
	}
	a := &answer{t: p.c.t, what: fmt.Sprintf("%s %s at node %d", method, path, p.id), status: resp.StatusCode,
		header: resp.Header, body: got}
	return a, a.verdict(), nil
}

func (a *answer) verdict() verdict {
	switch a.status {
	case 200, 201, 204, 304, 404, 412, 422:
		return answered
	}
	var p problem
	if json.Unmarshal(a.body, &p) != nil {
		return nonsense
	}
	switch {
	case a.status == 503 && (p.Code == "overloaded" || p.Code == "no_leader" || p.Code == "not_ready"):
		if a.header.Get("Retry-After") == "" {
			return nonsense
		}
		return notApplied
	case a.status == 504 && p.Code == "outcome_unknown":
		return unclear
	}
	return nonsense
}

// clientOf makes a client with connections of its own.
func clientOf(t testing.TB) *http.Client {
	c := plain()
	c.Timeout = 0 // every attempt has its own
	t.Cleanup(c.CloseIdleConnections)
	return c
}
