package ledger

import (
	"bytes"

	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
)

// keySource walks the keys of one part of the ledger, each by its newest version at or before the scan's seq,
// tombstones included, in the scan's direction. An entry is valid until the next move.
type keySource interface {
	Next() bool
	Seek(key []byte) bool
	Entry() *Entry
	Err() error
	Close() error
}

// Scan walks the newest live version of each key in the bounds, as of opts.AsOf. What is committed later does not show.
// The iterator keeps its segments open until it is closed, and holds a bounded part of them in memory.
func (l *Ledger) Scan(opts ScanOptions) (Iterator, error) {
	it, err := l.Keys(opts)
	if err != nil {
		return nil, err
	}
	return it, nil
}

// Keys is Scan, with an iterator that can be sent to a key.
func (l *Ledger) Keys(opts ScanOptions) (*KeyIterator, error) {
	next := l.published.Load()
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	it := &KeyIterator{ledger: l, view: v, reverse: opts.Reverse, best: none, rival: none}
	opts = opts.within()
	if next == 0 || opts.End != nil && bytes.Compare(opts.Start, opts.End) >= 0 {
		return it, nil
	}
	opts.AsOf = min(opts.AsOf, next-1)
	// Newest part first: among sources at the same key the first one has the newest version.
	if v.active.first <= opts.AsOf {
		it.add(newMemSource(v.active, opts))
	}
	for _, s := range v.sealed {
		if s.mem.first <= opts.AsOf {
			it.add(newMemSource(s.mem, opts))
		}
	}
	for i := len(v.tables) - 1; i >= 0; i-- {
		if t := v.tables[i]; t.first <= opts.AsOf && t.overlaps(opts.Start, opts.End) {
			it.add(newTableSource(t, opts))
		}
	}
	return it, nil
}

// within returns the options with the prefix as a part of the bounds.
func (o ScanOptions) within() ScanOptions {
	if bytes.Compare(o.Start, o.Prefix) < 0 {
		o.Start = o.Prefix
	}
	for i := len(o.Prefix) - 1; i >= 0; i-- {
		if o.Prefix[i] == 0xff {
			continue
		}
		end := bytes.Clone(o.Prefix[:i+1])
		end[i]++
		if o.End == nil || bytes.Compare(end, o.End) < 0 {
			o.End = end
		}
		break
	}
	return o
}

// overlaps says whether the segment may hold keys in [start, end).
func (t *table) overlaps(start, end []byte) bool {
	info := t.Info()
	return info.MaxKey != nil && bytes.Compare(info.MaxKey, start) >= 0 &&
		(end == nil || bytes.Compare(info.MinKey, end) < 0)
}

// none is no source.
const none = -1

// KeyIterator merges the sources of a scan. It knows which source comes first and which one would be next, so a walk
// through one source, past nothing of the others, takes one comparison a key.
type KeyIterator struct {
	ledger  *Ledger
	view    *view
	reverse bool
	sources []keySource // newest part of the ledger first
	heads   []*Entry    // the entry each stands on; nil when it is at its end
	best    int         // the source whose head comes first; of equal keys the newest
	rival   int         // the source whose head comes first among the others
	tied    bool        // the rival stands on the best one's key
	begun   bool
	entry   *Entry
	err     error
}

func (it *KeyIterator) add(s keySource) {
	it.sources = append(it.sources, s)
	it.heads = append(it.heads, nil)
}

// Next moves to the next live key.
func (it *KeyIterator) Next() bool {
	switch {
	case it.view == nil || it.err != nil:
	case !it.begun:
		it.begun = true
		for i := range it.sources {
			it.place(i, it.sources[i].Next())
		}
		it.rank()
	case it.best != none:
		it.pass()
	}
	return it.live()
}

// Seek moves to the first live key at or after key or, in a reverse scan, to the last one before it, within the bounds.
func (it *KeyIterator) Seek(key []byte) bool {
	if it.view != nil && it.err == nil {
		it.begun = true
		key = bytes.Clone(key) // it may be the present entry's
		for i := range it.sources {
			it.place(i, it.sources[i].Seek(key))
		}
		it.rank()
	}
	return it.live()
}

// live stands on the first live key from the best head on.
func (it *KeyIterator) live() bool {
	for it.err == nil && it.best != none {
		it.entry = it.heads[it.best]
		if it.entry.Op == tlog.OpPut {
			return true
		}
		it.pass()
	}
	it.entry = nil
	return false
}

// compare is less than zero when a comes before b in the scan's direction.
func (it *KeyIterator) compare(a, b *Entry) int {
	if it.reverse {
		return bytes.Compare(b.Key, a.Key)
	}
	return bytes.Compare(a.Key, b.Key)
}

// rank finds the best source and its rival among all.
func (it *KeyIterator) rank() {
	it.best, it.rival, it.tied = none, none, false
	for i, e := range it.heads {
		if e == nil {
			continue
		}
		if it.best == none {
			it.best = i
			continue
		}
		switch c := it.compare(e, it.heads[it.best]); {
		case c < 0:
			it.best, it.rival, it.tied = i, it.best, false
		case c == 0:
			it.rival, it.tied = i, true
		case it.tied:
		case it.rival == none || it.compare(e, it.heads[it.rival]) < 0:
			it.rival = i
		}
	}
}

// pass moves all sources beyond the best one's key. That one moves last, as the key is its own.
func (it *KeyIterator) pass() {
	at := it.heads[it.best]
	if it.tied {
		for i, e := range it.heads {
			if e != nil && i != it.best && bytes.Equal(e.Key, at.Key) {
				it.place(i, it.sources[i].Next())
			}
		}
	}
	it.place(it.best, it.sources[it.best].Next())
	at = it.heads[it.best]
	if it.tied || at == nil || it.rival != none && it.compare(at, it.heads[it.rival]) >= 0 {
		it.rank()
	}
}

// place notes where a source stands after a move.
func (it *KeyIterator) place(i int, ok bool) {
	if ok {
		it.heads[i] = it.sources[i].Entry()
		return
	}
	it.heads[i] = nil
	if err := it.sources[i].Err(); err != nil && it.err == nil {
		it.err = err
		it.ledger.noteDamage(err)
	}
}

// Entry is the version the iterator stands on.
func (it *KeyIterator) Entry() *Entry { return it.entry }

// Err is what ended the scan early.
func (it *KeyIterator) Err() error { return it.err }

// Close lets the segments go. It may be called more than once.
func (it *KeyIterator) Close() error {
	if it.view == nil {
		return nil
	}
	for _, s := range it.sources {
		if err := s.Close(); err != nil && it.err == nil {
			it.err = err
		}
	}
	it.view.release()
	it.view, it.entry, it.heads, it.sources = nil, nil, nil, nil
	return it.err
}

// tableSource is a segment as a keySource.
type tableSource struct {
	it      *sstable.Iter
	reverse bool
	started bool
}

func newTableSource(t *table, o ScanOptions) *tableSource {
	t.read()
	return &tableSource{reverse: o.Reverse, it: t.Iter(sstable.IterOptions{Lower: o.Start, Upper: o.End,
		KeysOnly: o.KeysOnly, Newest: true, AsOf: o.AsOf, Leaves: o.Leaves, Reuse: true})}
}

func (s *tableSource) Next() bool {
	started := s.started
	s.started = true
	switch {
	case started && s.reverse:
		return s.it.Prev()
	case started:
		return s.it.Next()
	case s.reverse:
		return s.it.Last()
	default:
		return s.it.First()
	}
}

func (s *tableSource) Seek(key []byte) bool {
	s.started = true
	if s.reverse {
		return s.it.SeekLT(key)
	}
	return s.it.SeekGE(key)
}

func (s *tableSource) Entry() *Entry { return s.it.Entry() }
func (s *tableSource) Err() error    { return s.it.Err() }
func (s *tableSource) Close() error  { return s.it.Close() }
