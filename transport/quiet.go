package transport

import (
	"maps"
	"sync"
	"time"
)

const (
	quietFor  = 30 * time.Second
	quietKeys = 256
)

// quiet keeps lines that repeat out of the log: the same one at most once, and no more than quietKeys in quietFor.
type quiet struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// allow says whether the line with that key may be written now.
func (q *quiet) allow(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if at, ok := q.seen[key]; ok && now.Sub(at) < quietFor {
		return false
	}
	if len(q.seen) >= quietKeys {
		maps.DeleteFunc(q.seen, func(_ string, at time.Time) bool { return now.Sub(at) >= quietFor })
	}
	if len(q.seen) >= quietKeys {
		return false
	}
	if q.seen == nil {
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
