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
	spare  [][]byte // memory of pieces that are gone, for those to come: fresh memory costs more than the copy into it
	spared int64    // bytes of spare
}

// aheadPiece is one range. Its data and err are set before done is closed.
type aheadPiece struct {
	of       *ahead
	off, end int64
	done     chan struct{}
	room     []byte // memory for data; nil: none yet
	held     int64  // bytes that it counts for
	data     []byte
	err      error

	// Guarded by ahead.mu, all of them.
	unread  int64     // bytes, counted as if none were read twice
	used    time.Time // last, or when it was announced
	readers int       // that look at it
	gone    bool      // from ahead.pieces
}

const (
	// A request costs the store, and this side, as much as a good part of a MiB: a walk that has come far enough to be
	// given much at a time gets larger pieces.
	aheadPieceBytes = 1 << 20
	largePieceBytes = 2 << 20
	largeFromBytes  = 8 << 20
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

// announce begins to read [off, off+n) of an object ahead. False says that there is no room for all of it now. It never
// waits.
func (a *ahead) announce(o *SealedObject, off, n int64) bool {
	if a.limit <= 0 || a.r.opts.Inline {
		return true // nor will there ever be
	}
	if a.r.circuit.isOpen() {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget()
	piece := int64(aheadPieceBytes)
	if n >= largeFromBytes {
		piece = largePieceBytes
	}
	for end := off + n; off < end; {
		stop := end
		if end-off > piece+piece/crumb {
			stop = off + piece
		}
		at := slices.IndexFunc(a.pieces[o.Name], func(p *aheadPiece) bool { return p.off < stop && off < p.end })
		switch {
		case at >= 0 && a.pieces[o.Name][at].off > off:
			stop = a.pieces[o.Name][at].off // up to a piece that is there
			fallthrough
		case at < 0:
			if !a.begin(o, off, stop) {
				return false
			}
			off = stop
		default:
			off = a.pieces[o.Name][at].end
		}
	}
	return true
}

// crumb: what is less than that part of a piece is not worth one of its own.
const crumb = 8

// holds says whether the byte at off is in a piece, be it under way, or never will be.
func (a *ahead) holds(o *SealedObject, off int64) bool {
	if a.limit <= 0 || a.r.opts.Inline {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.pieces[o.Name], func(p *aheadPiece) bool { return p.off <= off && off < p.end })
}

// begin starts the request for a piece; false when there is no room. The caller holds mu.
func (a *ahead) begin(o *SealedObject, off, end int64) bool {
	room, ok := a.makeRoom(end - off)
	if !ok {
		return false
	}
	p := &aheadPiece{of: a, off: off, end: end, done: make(chan struct{}), room: room, held: max(end-off, int64(cap(room))),
		unread: end - off, used: a.r.opts.Now()}
	if !a.r.start(func() { a.fetch(o, p) }) {
		return false
	}
	a.pieces[o.Name] = append(a.pieces[o.Name], p)
	a.bytes += p.held
	a.count++
	return true
}

// makeRoom drops pieces that were read, or that nobody came for, until n bytes more fit, and returns memory for them if
// some lies ready. The caller holds mu.
func (a *ahead) makeRoom(n int64) (room []byte, ok bool) {
	for {
		fits := func(b []byte) bool { return int64(cap(b)) >= n && int64(cap(b)) <= n+n/crumb }
		at := slices.IndexFunc(a.spare, fits)
		switch {
		case a.count == maxAheadPieces:
		case at >= 0:
			return a.take(at), true
		case a.bytes+a.spared+n <= a.limit:
			return nil, true
		case len(a.spare) > 0:
			a.take(0)
			continue
		}
		if !a.dropOldest() {
			return nil, false
		}
	}
}

// take returns a piece of spare memory. The caller holds mu.
func (a *ahead) take(at int) []byte {
	b := a.spare[at]
	a.spare = slices.Delete(a.spare, at, at+1)
	a.spared -= int64(cap(b))
	return b
}

// dropOldest removes the piece that was left alone the longest; false when all are still wanted. The caller holds mu.
func (a *ahead) dropOldest() bool {
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
	a.bytes -= p.held
	a.count--
	p.gone = true
	a.keepMemory(p)
}

// keepMemory keeps the memory of a piece that is gone and that nobody looks at any more. The caller holds mu.
func (a *ahead) keepMemory(p *aheadPiece) {
	if !p.gone || p.readers > 0 || !p.ended() {
		return
	}
	n := int64(cap(p.data))
	if n < aheadPieceBytes || a.bytes+a.spared+n > a.limit {
		return
	}
	a.spare, a.spared = append(a.spare, p.data), a.spared+n
	p.data = nil
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
	p.data, p.err = a.r.attempt(ctx, o, p.off, p.end-p.off, p.room)
	p.err = a.r.judge(o, p.err)
	a.r.metrics.ahead.Inc()
}

// read fills b from pieces that cover [off, off+len(b)), waiting for those under way. False when there are none, or
// they fail or are late: half of the time until the deadline remains for a request of the reader's own.
func (a *ahead) read(o *SealedObject, b []byte, off int64, deadline time.Time) bool {
	end := off + int64(len(b))
	var few [2]*aheadPiece
	cover := a.cover(o, off, end, few[:0])
	ok := len(cover) > 0 && a.wait(cover, deadline)
	if ok {
		for _, p := range cover {
			from, to := max(off, p.off), min(end, p.end)
			copy(b[from-off:], p.data[from-p.off:to-p.off])
		}
	}
	a.leave(o, cover, off, end)
	return ok
}

// lend gives [off, off+n) as it lies in a piece that has come; nil when it is in none, or in several.
func (a *ahead) lend(o *SealedObject, off, n int64) ([]byte, *aheadPiece) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.pieces[o.Name] {
		if p.off > off || off+n > p.end {
			continue
		}
		if !p.ended() || p.err != nil {
			return nil, nil
		}
		p.used = a.r.opts.Now()
		p.readers++
		p.unread -= n
		return p.data[off-p.off:][:n:n], p
	}
	return nil, nil
}

// Return implements segfile.Loan.
func (p *aheadPiece) Return() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.readers--
	p.of.keepMemory(p)
}

// wait waits until pieces have ended; false when that takes too long, or one has failed.
func (a *ahead) wait(cover []*aheadPiece, deadline time.Time) bool {
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
		if p.err != nil {
			return false
		}
	}
	return true
}

// leave ends a reader's look at pieces: what it came for counts as read.
func (a *ahead) leave(o *SealedObject, cover []*aheadPiece, off, end int64) {
	if len(cover) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range cover {
		p.readers--
		p.unread -= min(end, p.end) - max(off, p.off)
		if p.ended() && p.err != nil {
			a.remove(o.Name, p)
		}
		a.keepMemory(p)
	}
}

// cover appends to cover the pieces that [off, end) lies in, in order, and holds them until leave; nothing when some of
// it is in none.
func (a *ahead) cover(o *SealedObject, off, end int64, cover []*aheadPiece) []*aheadPiece {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.r.opts.Now()
	for off < end {
		at := slices.IndexFunc(a.pieces[o.Name], func(p *aheadPiece) bool { return p.off <= off && off < p.end })
		if at < 0 {
			return nil
		}
		p := a.pieces[o.Name][at]
		cover = append(cover, p)
		off = p.end
	}
	for _, p := range cover {
		p.used = now
		p.readers++
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
