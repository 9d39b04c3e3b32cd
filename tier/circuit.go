package tier

import (
	"fmt"
	"sync"
	"time"
)

// circuit lets reads fail at once while the store is known to be down, so that they do not pile up waiting for it.
// After failuresToOpen failures in a row it is open: reads fail, but for one that is let through after a pause, to see.
// Each such probe that fails makes the pause longer, up to maxPause; any success ends it. So reads go on at most
// maxPause after the store is back. It is safe for concurrent use.
type circuit struct {
	random func() float64 // from [0, 1)

	mu      sync.Mutex
	inARow  int           // failures. Guarded by mu, as is all below.
	pause   time.Duration // between probes; 0 while it is closed
	probeAt time.Time     // the next probe is let through
	last    error         // why it is open
	lastAt  time.Time     // when that was
}

const (
	failuresToOpen = 5
	minPause       = 250 * time.Millisecond
	maxPause       = 4 * time.Second
	// freshFailure is how long a failure says something of the present: without reads nothing shows that the store is back.
	freshFailure = time.Minute
)

// allow says whether a request may be made; else how long until one may, and why not.
func (c *circuit) allow(now time.Time) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pause == 0 {
		return 0, nil
	}
	if wait := c.probeAt.Sub(now); wait > 0 {
		return wait, fmt.Errorf("not asked for %v, %d requests in a row have failed, the last one with: %w",
			wait.Round(time.Millisecond), c.inARow, c.last)
	}
	// This one is the probe. One that does not come back does not keep the next one waiting.
	c.pause = min(2*c.pause, maxPause)
	c.openUntil(now)
	return 0, nil
}

// isOpen says whether requests fail at once. It lets no probe through.
func (c *circuit) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pause > 0
}

// why is why it is open; nil when it is not, or no request has failed for long.
func (c *circuit) why(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pause == 0 || now.Sub(c.lastAt) > freshFailure {
		return nil
	}
	return c.last
}

func (c *circuit) worked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inARow, c.pause, c.last = 0, 0, nil
}

func (c *circuit) failed(now time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inARow++
	c.last, c.lastAt = err, now
	if c.pause == 0 && c.inARow >= failuresToOpen {
		c.pause = minPause
		c.openUntil(now)
	}
}

// openUntil sets when the next probe goes, at random so that nodes do not probe together. The caller holds mu.
func (c *circuit) openUntil(now time.Time) {
	c.probeAt = now.Add(time.Duration(float64(c.pause) * (0.75 + 0.25*c.random())))
}
