package cold

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// far is the way to a store that is not on this machine: the first byte of an answer takes a while, and all answers together
// come at a rate.
type far struct {
	next  http.RoundTripper
	delay time.Duration
	rate  float64 // bytes per second; 0 is as fast as they come

	mu   sync.Mutex
	free time.Time // when the next byte may come
}

// farBurst is how much time without traffic is made up for: sleeping is not exact.
const farBurst = 10 * time.Millisecond

// RoundTrip implements http.RoundTripper.
func (f *far) RoundTrip(q *http.Request) (*http.Response, error) {
	t := time.NewTimer(f.delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-q.Context().Done():
		return nil, q.Context().Err()
	}
	a, err := f.next.RoundTrip(q)
	if err == nil && f.rate > 0 {
		a.Body = &slowed{a.Body, f}
	}
	return a, err
}

// slowed is the body of an answer.
type slowed struct {
	io.ReadCloser
	f *far
}

func (s *slowed) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	f, now := s.f, time.Now()
	f.mu.Lock()
	if earliest := now.Add(-farBurst); f.free.Before(earliest) {
		f.free = earliest
	}
	f.free = f.free.Add(time.Duration(float64(n) / f.rate * float64(time.Second)))
	wait := f.free.Sub(now)
	f.mu.Unlock()
	if wait > 0 {
		time.Sleep(wait)
	}
	return n, err
}
