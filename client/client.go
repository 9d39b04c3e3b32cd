package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/tlog"
)

// DefaultEndpoint is where a node with no configuration listens.
const DefaultEndpoint = "http://127.0.0.1:8001"

// Options tune a Client. The zero value of each field is its documented default.
type Options struct {
	// HTTPClient sends the requests. Default: one of its own, that follows no redirects and asks for no compression.
	HTTPClient *http.Client
	// Header is added to every request.
	Header http.Header
	// Name is what errors call whoever answers, where its URL says nothing to people. Default: the endpoint.
	Name string
	// Rounds is how often each endpoint is tried before a call gives up. Default 4; 1 does not retry.
	Rounds int
	// AttemptTimeout bounds one attempt, answer included. Default 1 minute. The context bounds the whole call.
	AttemptTimeout time.Duration
	// MinBackoff is the wait after the first round; it doubles up to MaxBackoff, and half of it is random. A server's
	// Retry-After is honoured up to MaxBackoff. Default 50 ms and 2 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxResponseBytes bounds an answer held in memory. Default 512 MiB: a page with one value of 64 MiB can take 384.
	MaxResponseBytes int64
	// Pin is a checkpoint accepted earlier (see Client.Pin). Default: none, the first one is trusted.
	Pin tlog.Checkpoint

	// Sleep waits for d or until ctx is done. Default: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Rand gives the jitter, from [0, 1). Default: math/rand/v2.
	Rand func() float64
	// NewKey makes idempotency keys. Default: 128 random bits as hex.
	NewKey func() string
}

// Client talks to one ledger through any of its nodes.
type Client struct {
	endpoints []string // base URLs without a slash at the end
	preferred atomic.Uint32
	opts      Options

	mu  sync.Mutex
	pin tlog.Checkpoint // newest accepted checkpoint; only ever replaced by one that extends it. Guarded by mu.
}

// New makes a client of the ledger that the endpoints, base URLs of its nodes, belong to. With none it is that of
// DefaultEndpoint.
func New(endpoints []string, opts Options) (*Client, error) {
	if len(endpoints) == 0 {
		endpoints = []string{DefaultEndpoint}
	}
	c := &Client{opts: opts.withDefaults(), pin: opts.Pin}
	for _, e := range endpoints {
		base, err := parseEndpoint(e)
		if err != nil {
			return nil, err
		}
		c.endpoints = append(c.endpoints, base)
	}
	return c, nil
}

func parseEndpoint(text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", fmt.Errorf("client: endpoint %q is no URL such as %s", text, DefaultEndpoint)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("client: endpoint on %s has a user, query or fragment; give scheme, host and port", u.Host)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func (o Options) withDefaults() Options {
	if o.HTTPClient == nil {
		o.HTTPClient = newHTTPClient()
	}
	if o.Rounds <= 0 {
		o.Rounds = 4
	}
	if o.AttemptTimeout <= 0 {
		o.AttemptTimeout = time.Minute
	}
	if o.MinBackoff <= 0 {
		o.MinBackoff = 50 * time.Millisecond
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = 2 * time.Second
	}
	o.MaxBackoff = max(o.MaxBackoff, o.MinBackoff)
	if o.MaxResponseBytes <= 0 {
		o.MaxResponseBytes = 512 << 20
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Rand == nil {
		o.Rand = mathrand.Float64
	}
	if o.NewKey == nil {
		o.NewKey = newKey
	}
	return o
}

const dialTimeout = 3 * time.Second

func newHTTPClient() *http.Client {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext, // a dead host must not use up the attempt
		DisableCompression:  true,                                            // the digest is over the bytes as stored
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
	// The contract has no redirects. Following one would send a write to whom the answer names.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, CheckRedirect: stay}
}

// CloseIdleConnections closes the connections that no call is using.
func (c *Client) CloseIdleConnections() { c.opts.HTTPClient.CloseIdleConnections() }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func newKey() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// errTooLarge ends a call whose answer is longer than MaxResponseBytes.
var errTooLarge = errors.New("client: the answer is longer than Options.MaxResponseBytes")
