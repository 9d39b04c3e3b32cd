package transport

import (
	"sync"

	"github.com/scribe-ledger/scribe/raft"
)

// dropReason is why a frame was not sent, as the metric names it.
type dropReason uint8

const (
	dropNone   dropReason = iota
	dropPeer              // there is no such peer
	dropFull              // the queue is full
	dropDown              // the peer cannot be reached
	dropLarge             // over the limit of a frame
	dropBroken            // the connection broke before the frame was written whole; part of it may have arrived
	dropClosed            // the transport or the peer was closed

	dropReasons
)

func (r dropReason) String() string {
	return [...]string{"none", "no_peer", "full", "down", "too_large", "broken", "closed"}[r]
}

// item is a frame that waits: a message when kind says so, else a payload.
type item struct {
	kind    kind
	size    int // what it counts against the queue's bounds
	message raft.Message
	payload []byte
}

// queue holds the frames for one peer and class, oldest first. Any goroutine pushes, the sender takes.
type queue struct {
	maxFrames, maxBytes int
	ready               chan struct{} // holds a token when something was pushed since the sender looked

	mu     sync.Mutex
	items  []item // from head on
	head   int
	bytes  int // of what waits and of what was taken and is not done
	frames int
	refuse dropReason // why nothing is taken in; dropNone while it is
}

func newQueue(frames, bytes int) *queue {
	return &queue{maxFrames: frames, maxBytes: bytes, ready: make(chan struct{}, 1)}
}

// push takes it in, or says why not.
func (q *queue) push(it item) dropReason {
	q.mu.Lock()
	switch {
	case q.refuse != dropNone:
		defer q.mu.Unlock()
		return q.refuse
	case q.frames > 0 && (q.frames >= q.maxFrames || it.size > q.maxBytes-q.bytes):
		q.mu.Unlock()
		return dropFull
	}
	q.items = append(q.items, it)
	q.frames++
	q.bytes += it.size
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return dropNone
}

// take appends to dst the oldest frames, until they have that many bytes. They count until done says that they are.
func (q *queue) take(dst []item, bytes int) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.head < len(q.items) && bytes > 0 {
		it := &q.items[q.head]
		bytes -= it.size
		dst = append(dst, *it)
		*it = item{}
		q.head++
	}
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head > 1024 && q.head > len(q.items)/2:
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return dst
}

// done gives back the room of frames that were taken.
func (q *queue) done(items []item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.frames -= len(items)
	for i := range items {
		q.bytes -= items[i].size
	}
}

// open lets frames in again.
func (q *queue) open() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse != dropClosed {
		q.refuse = dropNone
	}
}

// shut lets no more frames in, for that reason, and throws away what waits. It returns how many that were.
func (q *queue) shut(why dropReason) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse != dropClosed {
		q.refuse = why
	}
	n := len(q.items) - q.head
	for _, it := range q.items[q.head:] {
		q.bytes -= it.size
	}
	q.frames -= n
	q.items, q.head = nil, 0
	return n
}

func (q *queue) load() (frames, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.frames, q.bytes
}
