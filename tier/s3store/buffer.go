package s3store

import (
	"context"
	"slices"
	"sync"
)

// buffers hands out buffers for bodies: at most so many at once, whoever uses them, so that many large uploads take no
// more memory than one. Used ones are kept for the next part. When nobody uses any they are the collector's to take, and the
// next upload's until it does: dropped between two uploads, they would be garbage beside new ones.
type buffers struct {
	slots chan struct{} // one for each buffer in use
	bytes int64         // of each buffer

	mu   sync.Mutex // guards what follows
	free [][]byte
	used int
	idle sync.Pool // of *[]byte; safe without mu
}

func newBuffers(most int, bytes int64) *buffers {
	return &buffers{slots: make(chan struct{}, most), bytes: bytes}
}

// get returns a buffer of n bytes, at most b.bytes of them, once one is free.
func (b *buffers) get(ctx context.Context, n int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used++
	if n <= b.bytes/8 { // not worth a large one
		if last := len(b.free) - 1; len(b.free)+b.used > cap(b.slots) {
			b.free = slices.Delete(b.free, last, last+1) // its slot is ours
		}
		return make([]byte, n), nil
	}
	if last := len(b.free) - 1; last >= 0 {
		p := b.free[last]
		b.free = b.free[:last]
		return p[:n], nil
	}
	if p, ok := b.idle.Get().(*[]byte); ok {
		return (*p)[:n], nil
	}
	return make([]byte, n, b.bytes), nil
}

// put takes a buffer back. Nobody may touch it any more.
func (b *buffers) put(p []byte) {
	b.mu.Lock()
	b.used--
	if int64(cap(p)) == b.bytes {
		b.free = append(b.free, p)
	}
	if b.used == 0 {
		for _, p := range b.free {
			b.idle.Put(&p)
		}
		b.free = nil
	}
	b.mu.Unlock()
	<-b.slots
}
