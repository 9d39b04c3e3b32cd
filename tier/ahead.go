package tier

import (
	"context"
	"slices"
	"sync"
	"time"
)

// ahead requests what passes over objects have announced, in pieces of up to aheadPiece, many at a time, and holds them
// until they are read. It never makes a reader wait for memory: what does not fit is not read ahead, and a
// piece that fails is read again by whoever needs it, with all the care of a single read.
type ahead struct {
	r     *Ranges
	slots chan struct{} // for its requests, so that single reads always have their share
	limit int64

	mu     sync.Mutex
	pieces map[string][]*aheadPiece // by object, in no order. Guarded by mu, as is all below.
	bytes  int64
	count  int
}

// aheadPiece is one range. Its data and err are set before done is closed.
type aheadPiece struct {
	off, end int64
	done     chan struct{}
	data     []byte
	err      error

	unread int64     // bytes, counted as if none were read twice. Guarded by ahead.mu, as is used.
	used   time.Time // last, or when it was announced
}

const (
	aheadPieceBytes = 1 << 20
	maxAheadPieces  = 512
	// A piece that nobody came for may go after aheadStale to make room for another, and one that was read at once. Until
	// aheadGone it serves others that pass there.
	aheadStale = 2 * time.Second
	aheadGone  = 15 * time.Second
)

func newAhead(r *Ranges) *ahead {
	return &ahead{r: r, slots: make(chan struct{}, r.opts.InFlight/2), limit: r.opts.AheadBytes,
		pieces: make(map[string][]*aheadPiece)}
}

// announce begins to read [off, off+n) of an object ahead, as far as there is room. It never waits.
func (a *ahead) announce(o *SealedObject, off, n int64) {
	if a.limit <= 0 || a.r.opts.Inline || a.r.circuit.isOpen() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget()
	for end := off + n; off < end; {
		stop := end
		if end-off > aheadPieceBytes+aheadPieceBytes/8 { // no crumbs
			stop = off + aheadPieceBytes
		}
		at := slices.IndexFunc(a.pieces[o.Name], func(p *aheadPiece) bool { return p.off < stop && off < p.end })
		switch {
		case at >= 0 && a.pieces[o.Name][at].off > off:
			stop = a.pieces[o.Name][at].off // up to a piece that is there
			fallthrough
		case at < 0:
			if !a.begin(o, off, stop) {
				return
			}
			off = stop
		default:
			off = a.pieces[o.Name][at].end
		}
	}
}

// begin starts the request for a piece; false when there is no room. The caller holds mu.
func (a *ahead) begin(o *SealedObject, off, end int64) bool {
	if !a.makeRoom(end - off) {
		return false
	}
	p := &aheadPiece{off: off, end: end, done: make(chan struct{}), unread: end - off, used: a.r.opts.Now()}
	if !a.r.start(func() { a.fetch(o, p) }) {
		return false
	}
	a.pieces[o.Name] = append(a.pieces[o.Name], p)
	a.bytes += end - off
	a.count++
	return true
}

// makeRoom drops pieces that were read, or that nobody came for, until n bytes more fit. The caller holds mu.
func (a *ahead) makeRoom(n int64) bool {
	for a.bytes+n > a.limit || a.count == maxAheadPieces {
		object, oldest := "", (*aheadPiece)(nil)
		for name, pieces := range a.pieces {
			for _, p := range pieces {
				may := p.ended() && (p.unread <= 0 || a.r.opts.Now().Sub(p.used) >= aheadStale)
				if may && (oldest == nil || p.used.Before(oldest.used)) {
					object, oldest = name, p
				}
			}
		}
		if oldest == nil {
			return false
		}
		a.remove(object, oldest)
	}
	return true
}

// forget drops what was not used for long. The caller holds mu.
func (a *ahead) forget() {
	before := a.r.opts.Now().Add(-aheadGone)
	for name, pieces := range a.pieces {
		for _, p := range slices.Clone(pieces) {
			if p.ended() && p.used.Before(before) {
				a.remove(name, p)
			}
		}
	}
}

func (p *aheadPiece) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// remove forgets a piece. The memory of one under way is counted as free a little early. The caller holds mu.
func (a *ahead) remove(object string, p *aheadPiece) {
	pieces := a.pieces[object]
	at := slices.Index(pieces, p)
	if at < 0 {
		return
	}
	if pieces = slices.Delete(pieces, at, at+1); len(pieces) == 0 {
		delete(a.pieces, object)
	} else {
		a.pieces[object] = pieces
	}
	a.bytes -= p.end - p.off
	a.count--
}

// fetch is one request, tried once.
func (a *ahead) fetch(o *SealedObject, p *aheadPiece) {
	defer close(p.done)
	ctx, cancel := context.WithTimeout(a.r.ctx, a.r.opts.Deadline)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		p.err = a.r.ended(ctx, o)
		return
	}
	p.data, p.err = a.r.attempt(ctx, o, p.off, p.end-p.off)
	p.err = a.r.judge(o, p.err)
	a.r.metrics.ahead.Inc()
}

// read fills b from pieces that cover [off, off+len(b)), waiting for those under way. False when there are none, or
// they fail or are late: half of the time until the deadline remains for a request of the reader's own.
func (a *ahead) read(o *SealedObject, b []byte, off int64, deadline time.Time) bool {
	end := off + int64(len(b))
	cover := a.cover(o, off, end)
	var late <-chan time.Time // made when there is something to wait for: most blocks of a walk are there
	for _, p := range cover {
		if !p.ended() {
			if late == nil {
				wait := time.NewTimer(time.Until(deadline) / 2)
				defer wait.Stop()
				late = wait.C
			}
			select {
			case <-p.done:
			case <-late:
				return false
			case <-a.r.ctx.Done():
				return false
			}
		}
		from, to := max(off, p.off), min(end, p.end)
		a.mu.Lock()
		if p.unread -= to - from; p.err != nil {
			a.remove(o.Name, p)
		}
		a.mu.Unlock()
		if p.err != nil {
			return false
		}
		copy(b[from-off:], p.data[from-p.off:])
	}
	return cover != nil
}

// cover returns the pieces that [off, end) lies in, in order; nil when some of it is in none.
func (a *ahead) cover(o *SealedObject, off, end int64) []*aheadPiece {
	a.mu.Lock()
	defer a.mu.Unlock()
	var cover []*aheadPiece
	for off < end {
		at := slices.IndexFunc(a.pieces[o.Name], func(p *aheadPiece) bool { return p.off <= off && off < p.end })
		if at < 0 {
			return nil
		}
		p := a.pieces[o.Name][at]
		p.used = a.r.opts.Now()
		cover = append(cover, p)
		off = p.end
	}
	return cover
}

// drop forgets all that is held of [off, off+n).
func (a *ahead) drop(o *SealedObject, off, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range slices.Clone(a.pieces[o.Name]) {
		if p.off < off+n && off < p.end {
			a.remove(o.Name, p)
		}
	}
}
