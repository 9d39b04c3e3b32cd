package ledger

import (
	"bytes"

	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
)

// keySource walks the keys of one part of the ledger, each by its newest version at or before the scan's seq,
// tombstones included, in the scan's direction. An entry is valid until the next call of Next.
type keySource interface {
	Next() bool
	Entry() *Entry
	Err() error
	Close() error
}

// Scan walks the newest live version of each key in the bounds, as of opts.AsOf. What is committed later does not show.
// The iterator keeps its segments open until it is closed, and holds a bounded part of them in memory.
func (l *Ledger) Scan(opts ScanOptions) (Iterator, error) {
	next := l.published.Load()
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	it := &scanIterator{ledger: l, view: v, reverse: opts.Reverse}
	if next == 0 {
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

// overlaps says whether the segment may hold keys in [start, end).
func (t *table) overlaps(start, end []byte) bool {
	info := t.Info()
	return info.MaxKey != nil && bytes.Compare(info.MaxKey, start) >= 0 &&
		(end == nil || bytes.Compare(info.MinKey, end) < 0)
}

// scanIterator merges sources. They are few (memtables and the segments that overlap), so the next key is found by
// looking at each one's head.
type scanIterator struct {
	ledger  *Ledger
	view    *view
	reverse bool
	sources []keySource // newest part of the ledger first
	heads   []*Entry    // the entry each stands on; nil when it is at its end
	started bool
	entry   *Entry
	err     error
}

func (it *scanIterator) add(s keySource) {
	it.sources = append(it.sources, s)
	it.heads = append(it.heads, nil)
}

// Next moves to the next live key.
func (it *scanIterator) Next() bool {
	for it.err == nil {
		if !it.started {
			it.started = true
			for i := range it.sources {
				it.advance(i)
			}
		} else if it.entry != nil {
			it.skip(it.entry.Key)
		}
		if it.err != nil {
			break
		}
		it.entry = it.first()
		if it.entry == nil {
			return false
		}
		if it.entry.Op == tlog.OpPut {
			return true
		}
	}
	it.entry = nil
	return false
}

// first returns the head that comes first in the scan's direction; of equal keys the newest version.
func (it *scanIterator) first() *Entry {
	var best *Entry
	for _, e := range it.heads {
		if e == nil {
			continue
		}
		if best == nil {
			best = e
			continue
		}
		if c := bytes.Compare(e.Key, best.Key); (c < 0) != it.reverse && c != 0 {
			best = e
		}
	}
	return best
}

// skip moves every source that stands on key.
func (it *scanIterator) skip(key []byte) {
	// key belongs to a head: keep it while the sources move.
	for i, e := range it.heads {
		if e != nil && e != it.entry && bytes.Equal(e.Key, key) {
			it.advance(i)
		}
	}
	for i, e := range it.heads {
		if e == it.entry && e != nil {
			it.advance(i)
			return
		}
	}
}

func (it *scanIterator) advance(i int) {
	if it.sources[i].Next() {
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
func (it *scanIterator) Entry() *Entry { return it.entry }

// Err is what ended the scan early.
func (it *scanIterator) Err() error { return it.err }

// Close lets the segments go. It may be called more than once.
func (it *scanIterator) Close() error {
	if it.view == nil {
		return nil
	}
	for _, s := range it.sources {
		if err := s.Close(); err != nil && it.err == nil {
			it.err = err
		}
	}
	it.view.release()
	it.view, it.entry, it.heads = nil, nil, nil
	return it.err
}

// tableSource is a segment as a keySource.
type tableSource struct {
	it      *sstable.Iter
	reverse bool
	started bool
}

func newTableSource(t *table, o ScanOptions) *tableSource {
	return &tableSource{reverse: o.Reverse, it: t.Iter(sstable.IterOptions{Lower: o.Start, Upper: o.End,
		KeysOnly: o.KeysOnly, Newest: true, AsOf: o.AsOf, Leaves: true})}
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

func (s *tableSource) Entry() *Entry { return s.it.Entry() }
func (s *tableSource) Err() error    { return s.it.Err() }
func (s *tableSource) Close() error  { return s.it.Close() }
