package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// script answers requests one after another, as a transport: "201", "503", "503 after 1", "504", "lost", "dial". The
// last one repeats.
type script struct {
	answers []string
	hosts   []string
	keys    []string // idempotency keys seen
	slept   []time.Duration
}

const receiptJSON = `{"seq":1,"time":"2026-11-22T10:00:00.000001Z","key":"a","size":1,"leaf_hash":"` +
	"abababababababababababababababababababababababababababababababab" + `"}`

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if b, err := io.ReadAll(r.Body); err != nil || string(b) != "v" {
			return nil, errors.New("the body is not sent whole again: " + string(b))
		}
	}
	answer := s.answers[min(len(s.hosts), len(s.answers)-1)]
	s.hosts = append(s.hosts, r.URL.Host)
	s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	status, after, _ := strings.Cut(answer, " after ")
	codes := map[string]struct {
		status int
		code   Code
	}{"503": {503, CodeNoLeader}, "504": {504, CodeOutcomeUnknown}, "429": {429, CodeRateLimited},
		"412": {412, CodePreconditionFailed}, "502": {502, ""}, "500": {500, "internal"}, "507": {507, CodeDiskFull},
		"proxy503": {503, ""}, "301": {301, ""}, "cold": {502, CodeColdUnavailable}, "slow": {504, CodeColdUnavailable}}
	switch status {
	case "lost":
		return nil, errors.New("connection reset")
	case "dial":
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	case "cut":
		body := io.MultiReader(strings.NewReader(receiptJSON[:20]), errReader{})
		return &http.Response{StatusCode: 201, Header: http.Header{}, Body: io.NopCloser(body), ContentLength: -1}, nil
	case "201":
		return &http.Response{StatusCode: 201, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(receiptJSON))}, nil
	}
	c := codes[status]
	h := http.Header{"Retry-After": {after}, "Location": {"http://elsewhere/"}}
	body := ""
	if c.code != "" {
		h.Set("Content-Type", "application/problem+json")
		body = `{"code":"` + string(c.code) + `"}`
	}
	return &http.Response{StatusCode: c.status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (s *script) client(t *testing.T, endpoints ...string) *Client {
	t.Helper()
	c, err := New(endpoints, Options{
		HTTPClient: &http.Client{Transport: s, CheckRedirect: newHTTPClient().CheckRedirect},
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.slept = append(s.slept, d)
			return ctx.Err()
		},
		Rand:   func() float64 { return 0 },
		NewKey: func() string { return "key-1" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRetries(t *testing.T) {
	for _, tc := range []struct {
		answers  string
		attempts int
		outcome  string // "ok", "unknown", or the code of an *Error, or "dial"
	}{
		{"201", 1, "ok"},
		{"503,201", 2, "ok"},
		{"429,503,504,201", 4, "ok"},
		{"lost,201", 2, "ok"},
		{"cut,201", 2, "ok"}, // the answer was lost, not the write: the same key makes it one write
		{"dial,201", 2, "ok"},
		{"412", 1, "precondition_failed"},
		{"507", 1, "disk_full"},
		{"301", 1, ""},
		{"503", 4, "no_leader"},
		{"dial", 4, "dial"},
		{"504", 4, "unknown"},
		{"lost", 4, "unknown"},
		{"lost,503", 4, "unknown"}, // the last answer says no, but an earlier attempt may have gone through
		{"proxy503", 4, "unknown"}, // not the ledger's word
		{"502", 4, "unknown"},
		{"cold", 4, "cold_unavailable"}, // the condition could not be judged, and nothing was proposed
		{"slow,cold,201", 3, "ok"},
		{"lost,cold", 4, "unknown"},
		{"500", 1, "unknown"},
	} {
		s := &script{answers: strings.Split(tc.answers, ",")}
		r, err := s.client(t).Put(context.Background(), "a", []byte("v"), PutOptions{})
		var unknown *OutcomeUnknownError
		var answered *Error
		var dial *net.OpError
		got := "?"
		switch {
		case err == nil && r.Seq == 1:
			got = "ok"
		case errors.As(err, &unknown) && unknown.IdempotencyKey == "key-1":
			got = "unknown"
		case errors.As(err, &answered):
			got = string(answered.Code)
		case errors.As(err, &dial):
			got = "dial"
		}
		if got != tc.outcome || len(s.hosts) != tc.attempts {
			t.Errorf("%s: %q after %d attempts, want %q after %d: %v",
				tc.answers, got, len(s.hosts), tc.outcome, tc.attempts, err)
		}
		for _, key := range s.keys {
			if key != "key-1" {
				t.Errorf("%s: an attempt carries the key %q", tc.answers, key)
			}
		}
	}
}

func TestReadsAreNeverUnknown(t *testing.T) {
	s := &script{answers: []string{"504"}}
	_, err := s.client(t).Status(context.Background())
	var unknown *OutcomeUnknownError
	if errors.As(err, &unknown) || !IsCode(err, CodeOutcomeUnknown) || s.keys[0] != "" {
		t.Fatal(err, s.keys)
	}
}

func TestEndpointsTakeTurns(t *testing.T) {
	s := &script{answers: []string{"503", "dial", "201", "201", "503", "201"}}
	c := s.client(t, "http://a", "http://b", "http://c/")
	for range 3 {
		if _, err := c.Put(context.Background(), "a", []byte("v"), PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// The one that answered is asked first, and there is no wait before all have been asked.
	if want := []string{"a", "b", "c", "c", "c", "a"}; !slices.Equal(s.hosts, want) || len(s.slept) != 0 {
		t.Fatalf("asked %v, want %v; slept %v", s.hosts, want, s.slept)
	}
}

func TestBackoff(t *testing.T) {
	s := &script{answers: []string{"503"}}
	c := s.client(t)
	c.opts.Rounds, c.opts.MaxBackoff = 9, time.Second
	c.opts.Rand = func() float64 { return 0.5 }
	if _, err := c.Put(context.Background(), "a", []byte("v"), PutOptions{}); err == nil {
		t.Fatal("no error")
	}
	want := []time.Duration{37500, 75000, 150000, 300000, 600000, 750000, 750000, 750000}
	for i := range want {
		want[i] *= time.Microsecond
	}
	if !slices.Equal(s.slept, want) {
		t.Fatalf("slept %v, want %v", s.slept, want)
	}
	for after, want := range map[string]time.Duration{"1": time.Second, "3600": 2 * time.Second,
		"-1": 25 * time.Millisecond, "x": 25 * time.Millisecond, "999999999999": 25 * time.Millisecond} {
		s := &script{answers: []string{"503 after " + after, "201"}}
		if _, err := s.client(t).Put(context.Background(), "a", []byte("v"), PutOptions{}); err != nil || s.slept[0] != want {
			t.Errorf("Retry-After %s: slept %v, want %v, %v", after, s.slept, want, err)
		}
	}
}

func TestContextEndsTheRetries(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &script{answers: []string{"503"}}
	c := s.client(t)
	c.opts.Sleep = func(ctx context.Context, _ time.Duration) error {
		cancel()
		return ctx.Err()
	}
	_, err := c.Put(ctx, "a", []byte("v"), PutOptions{})
	if !errors.Is(err, context.Canceled) || !IsCode(err, CodeNoLeader) || len(s.hosts) != 1 {
		t.Fatalf("%v after %d attempts", err, len(s.hosts))
	}
	if strings.ContainsAny(err.Error(), "\n") {
		t.Fatalf("%q", err)
	}
}

func TestEndpoints(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:8001", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h#f",
		"://"} {
		if _, err := New([]string{bad}, Options{}); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	c, err := New(nil, Options{})
	if err != nil || c.endpoints[0] != DefaultEndpoint {
		t.Fatal(err)
	}
	if a, b := newKey(), newKey(); len(a) != 32 || a == b {
		t.Fatalf("idempotency keys %q and %q", a, b)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	f, _ := newFake(t)
	c := f.client(Options{MaxResponseBytes: 100, Rounds: 3})
	f.add(OpPut, "a", strings.Repeat("x", 101), "")
	f.add(OpPut, "b", strings.Repeat("x", 100), "")
	if _, err := c.Get(context.Background(), "a", GetOptions{}); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
	if _, err := c.Get(context.Background(), "b", GetOptions{}); err != nil {
		t.Error(err)
	}
	for n, want := range map[int64]error{9: nil, 10: nil, 11: errTooLarge} { // with no length declared
		body := io.NopCloser(strings.NewReader(strings.Repeat("x", int(n))))
		if _, err := readBody(&http.Response{ContentLength: -1, Body: body}, 10); err != want {
			t.Errorf("%d of 10 bytes: %v", n, err)
		}
	}
}

func TestProblemsArePrintable(t *testing.T) {
	a := &answer{endpoint: "http://h", status: 502, header: http.Header{}, body: []byte("<b>\x1b[2J\r\nbad\x00</b>")}
	if got := problemOf(a).Error(); strings.ContainsAny(got, "\x1b\r\n\x00") {
		t.Fatalf("%q", got)
	}
}
