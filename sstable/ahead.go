package sstable

import (
	"bytes"

	"github.com/scribe-ledger/scribe/segfile"
)

// readAhead tells the table's source what a walk from block to neighbouring block will read, when the source wants to
// know. It says nothing before the second block: a point read costs what it costs. From then on it keeps between three
// quarters of a window and a window announced, and the window grows fourfold with every announcement: a short walk reads
// little for nothing, a long one soon has many requests under way. When the source has no room for a window, because many walk
// at a time, or has given up what was announced, because the walk was slow, a quarter of that is announced as soon as as
// little is left. Blocks that the cache holds are passed over. It is for one goroutine.
type readAhead struct {
	upper    []byte // keys from here on will not be read; nil: no bound
	keysOnly bool   // blocks of large values will not be read

	begun  bool
	last   blockAt // where the walk was told to be
	back   bool    // it goes towards the beginning
	next   blockAt // the first one that was not announced
	window uint64
	due    uint64     // bytes announced, from the block after last on
	short  bool       // the last window found no room: the walk may have come past next
	beyond *partition // the last one that next has stepped into
}

const (
	firstAhead = 128 << 10
	mostAhead  = 32 << 20
	mostBack   = 2 << 20 // in one piece, which is read from its end: what is needed first must not be requested last
)

// moving is called before the walk reads the block at.
func (a *readAhead) moving(t *Table, at blockAt) {
	if t.ahead == nil {
		return
	}
	forth := a.begun && follows(a.last, at)
	back := a.begun && follows(at, a.last)
	same := a.begun && at.p.number == a.last.p.number && at.i == a.last.i
	switch {
	case same:
		return
	case !forth && !back || a.window > 0 && back != a.back:
		*a = readAhead{upper: a.upper, keysOnly: a.keysOnly, begun: true, last: at}
		return
	}
	if a.window == 0 {
		a.back, a.next = back, at
	} else {
		a.due -= min(a.due, a.extent(at).Length)
	}
	a.last = at
	switch {
	case a.short && a.due == 0:
		a.next = at
	case a.due > 0 && !t.ahead.Coming(int64(at.handle().Offset)) && !t.cache.holds(t.cacheKey(at)):
		a.next, a.due, a.window = at, 0, smaller(a.window)
	}
	if a.due <= a.window/4*3 {
		next, due := a.next, a.due
		a.window = min(max(4*a.window, firstAhead), mostAhead)
		if a.short = !a.announce(t); a.short {
			a.next, a.due = next, due // what did begin will be there
			a.window = smaller(a.window)
		}
	}
}

// smaller is a window from which the next one, four times as large, is a quarter of w.
func smaller(w uint64) uint64 { return max(w/16, firstAhead/4) }

// follows says whether b is the block after a. Between partitions it looks at their numbers alone.
func follows(a, b blockAt) bool {
	if a.p.number == b.p.number {
		return b.i == a.i+1
	}
	return b.p.number == a.p.number+1 && a.i+1 == a.p.count && b.i == 0
}

// announce fills the window. Neighbours are announced as one. False when the source has no room for all.
func (a *readAhead) announce(t *Table) (all bool) {
	var run segfile.Handle
	all = true
	flush := func() {
		if run.Length > 0 {
			all = t.ahead.Prefetch(int64(run.Offset), int64(run.Length)) && all
		}
		run = segfile.Handle{}
	}
	for a.due < a.window && a.next.p != nil && a.wanted(a.next) {
		h := a.extent(a.next)
		switch {
		case t.cache.holds(t.cacheKey(a.next)):
			h.Length = 0
			flush()
		case run.Length > 0 && h.Offset == run.Offset+run.Length:
			run.Length += h.Length
		case run.Length > 0 && h.Offset+h.Length == run.Offset && run.Length < mostBack:
			run = segfile.Handle{Offset: h.Offset, Length: run.Length + h.Length}
		default:
			flush()
			run = h
		}
		a.due += h.Length
		a.step(t)
	}
	flush()
	return all
}

// wanted says whether the walk can come to a block, by its bound.
func (a *readAhead) wanted(at blockAt) bool {
	return a.back || a.upper == nil || !at.p.ref.keyed || bytes.Compare(at.p.separatorOf(at.i).key, a.upper) < 0
}

// extent is what a walk reads of the file for a block: it, and the large values before it.
func (a *readAhead) extent(at blockAt) segfile.Handle {
	h := at.handle()
	if a.keysOnly {
		return h
	}
	begin := at.p.ref.dataAt
	if at.i > 0 {
		before := at.p.handle(at.i - 1)
		begin = before.Offset + before.Length
	}
	return segfile.Handle{Offset: begin, Length: h.Offset + h.Length - begin}
}

// step moves next on. It stands nowhere behind the last block, and when the index cannot be read: the walk will see
// why.
func (a *readAhead) step(t *Table) {
	number := a.next.p.number
	if a.back {
		if a.next.i--; a.next.i >= 0 {
			return
		}
		number--
	} else {
		if a.next.i++; a.next.i < a.next.p.count {
			return
		}
		number++
	}
	a.next = blockAt{}
	if number < 0 || number == len(t.top.parts) {
		return
	}
	if a.beyond == nil || a.beyond.number != number {
		p, err := t.partition(number, false)
		if err != nil {
			return
		}
		a.beyond = p
	}
	a.next.p = a.beyond
	if a.back {
		a.next.i = a.beyond.count - 1
	}
}
