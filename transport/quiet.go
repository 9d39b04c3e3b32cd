package transport

import (
	"sync"
	"time"
)

const (
	quietFor  = 30 * time.Second
	quietKeys = 256
)

// quiet keeps a line that repeats out of the log: the same one at most once in quietFor.
type quiet struct {
	mu   sync.Mutex
	seen map[string]time.Time // at most quietKeys; when it is full, all are forgotten
}

// allow says whether the line with that key may be written now.
func (q *quiet) allow(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if at, ok := q.seen[key]; ok && now.Sub(at) < quietFor {
		return false
	}
	if q.seen == nil || len(q.seen) >= quietKeys {
		q.seen = make(map[string]time.Time)
	}
	q.seen[key] = now
	return true
}

// forget lets the line be written when it comes next.
func (q *quiet) forget(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.seen, key)
}
