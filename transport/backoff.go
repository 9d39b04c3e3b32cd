package transport

import (
	"math/rand/v2"
	"time"
)

// backoff is the pause between attempts to connect: it doubles from min to max, and each is shortened by up to a half,
// so that nodes that lost the same peer do not return in step.
type backoff struct {
	min, max time.Duration
	rng      *rand.Rand
	next     time.Duration
}

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) pause() time.Duration {
	b.next = min(max(2*b.next, b.min), b.max)
	return b.next - time.Duration(b.rng.Int64N(int64(b.next/2)+1))
}
