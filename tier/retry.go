package tier

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Backoff says how long to wait between tries. Delays double from Base up to Max; of each, the second half is drawn at
// random, so that those who failed together do not come back together.
type Backoff struct {
	Base time.Duration // default 100 ms
	Max  time.Duration // default 30 s
}

// Delay is how long to wait before another try when failures tries have failed, at least 1: at least after, which is
// what the store asked for ([Temporary]). random is in [0, 1).
func (b Backoff) Delay(failures int, after time.Duration, random float64) time.Duration {
	base, most := cmp.Or(b.Base, 100*time.Millisecond), cmp.Or(b.Max, 30*time.Second)
	d := most
	if shift := max(failures, 1) - 1; shift < 63 && base<<shift>>shift == base {
		d = min(base<<shift, most)
	}
	half := d / 2
	return max(half+time.Duration(random*float64(d-half)), after)
}

// Budget bounds retries as a share of the calls that succeed, over all users of a store: when most calls fail, tries
// beyond the first only add to what overloads it. It starts full. All methods are safe for concurrent use.
type Budget struct {
	most, refill float64

	mu   sync.Mutex
	left float64 // of retries; between 0 and most
}

// NewBudget returns a budget of at most most retries, of which every success gives back refill.
func NewBudget(most, refill float64) *Budget { return &Budget{most: most, refill: refill, left: most} }

// Take takes one retry, if there is one.
func (b *Budget) Take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// Succeeded gives back for a call that succeeded.
func (b *Budget) Succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+b.refill, b.most)
}

// Retry repeats calls that fail temporarily. Zero values mean the defaults given.
type Retry struct {
	Backoff Backoff
	Tries   int     // calls altogether. Default 3
	Budget  *Budget // nil: none but Tries
	// Random returns numbers in [0, 1). nil: math/rand/v2.
	Random func() float64
	// Sleep waits for d or until ctx ends, and returns the context's error then. nil: it waits in real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Do calls until one call succeeds, fails for good, or no more are allowed, and returns the last one's error. When the
// context would end during the wait for another try, there is none.
func (r Retry) Do(ctx context.Context, call func(ctx context.Context) error) error {
	random, wait := r.Random, r.Sleep
	if random == nil {
		random = rand.Float64
	}
	if wait == nil {
		wait = sleep
	}
	for failures := 1; ; failures++ {
		err := call(ctx)
		if err == nil && r.Budget != nil {
			r.Budget.Succeeded()
		}
		after, again := Temporary(err)
		if !again || failures >= cmp.Or(r.Tries, 3) || ctx.Err() != nil {
			return err
		}
		if r.Budget != nil && !r.Budget.Take() {
			return err
		}
		if werr := wait(ctx, r.Backoff.Delay(failures, after, random())); werr != nil {
			return err
		}
	}
}
