package httpapi

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// budget bounds the bytes that all requests hold at one time. Waiters are served in order, so a large request is not
// starved by small ones. A request may ask again while it holds some; the bounded wait is what breaks a deadlock
// between two that do.
type budget struct {
	sem  *semaphore.Weighted
	size int64
	wait time.Duration
	held atomic.Int64
}

func newBudget(size int64, wait time.Duration) *budget {
	return &budget{sem: semaphore.NewWeighted(size), size: size, wait: wait}
}

// acquire takes n bytes, where had is what the request holds already, and returns how many were taken: fewer than n
// when the request would hold more than there is in all. It returns an overloaded problem after the wait.
func (b *budget) acquire(ctx context.Context, had, n int64) (int64, error) {
	n = min(n, b.size-had)
	if n <= 0 {
		return 0, nil
	}
	if !b.sem.TryAcquire(n) {
		ctx, cancel := context.WithTimeout(ctx, b.wait)
		err := b.sem.Acquire(ctx, n)
		cancel()
		if err != nil {
			return 0, &problem{status: 503, code: codeOverloaded, detail: "too many bytes in flight; nothing was applied"}
		}
	}
	b.held.Add(n)
	return n, nil
}

func (b *budget) release(n int64) {
	if n > 0 {
		b.held.Add(-n)
		b.sem.Release(n)
	}
}
