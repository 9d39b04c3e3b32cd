package ledger

import (
	"bytes"
	"sort"

	"github.com/scribe-ledger/scribe/tlog"
)

// NextSeq is the seq the next entry will get, which is the ledger's size. Reads see the entries below it.
func (l *Ledger) NextSeq() uint64 { return l.published.Load() }

// Get returns a live version of key with its value, as sel picks. *NotFoundError when the key had no live version then,
// ErrVersionNotFound when BySeq names no put of the key, *vfs.CorruptError.
func (l *Ledger) Get(key []byte, sel Selector) (*Entry, error) { return l.live(key, sel, false) }

// Peek is Get, except that it does not read a large value out of a segment: Value is nil then, ValueSize and ValueHash
// are set. Whoever wants it asks Get for that seq, and knows before how much memory that takes.
func (l *Ledger) Peek(key []byte, sel Selector) (*Entry, error) { return l.live(key, sel, true) }

func (l *Ledger) live(key []byte, sel Selector, peek bool) (*Entry, error) {
	e, err := l.version(key, sel, peek)
	switch {
	case err != nil:
		l.noteDamage(err)
		return nil, err
	case e == nil:
		return nil, &NotFoundError{}
	case e.Op != tlog.OpPut && sel.Kind == BySeq:
		return nil, ErrVersionNotFound
	case e.Op != tlog.OpPut:
		return nil, &NotFoundError{Tombstone: true, Seq: e.Seq}
	}
	return e, nil
}

// version returns the version of key that sel picks, a tombstone too; nil when there is none.
func (l *Ledger) version(key []byte, sel Selector, peek bool) (*Entry, error) {
	// The size is read before the view: every entry below it is in this view or in a later one's older part.
	next := l.published.Load()
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	defer v.release()
	if next == 0 {
		if sel.Kind == BySeq {
			return nil, ErrVersionNotFound
		}
		return nil, nil
	}
	maxSeq := next - 1
	switch sel.Kind {
	case BySeq:
		if sel.Seq >= next {
			return nil, ErrVersionNotFound
		}
		e, err := v.at(sel.Seq, peek)
		if err != nil {
			return nil, err
		}
		if e == nil || e.Op == tlog.OpSegment || !bytes.Equal(e.Key, key) {
			return nil, ErrVersionNotFound
		}
		return e, nil
	case AsOfSeq:
		maxSeq = min(maxSeq, sel.Seq)
	case AsOfTime:
		n, err := v.countUntil(sel.Time, next)
		if err != nil || n == 0 {
			return nil, err
		}
		maxSeq = n - 1
	}
	return v.get(key, maxSeq, peek)
}

// Exists says whether key was ever written.
func (l *Ledger) Exists(key []byte) (bool, error) {
	e, err := l.version(key, Selector{}, true)
	l.noteDamage(err)
	return e != nil, err
}

// SeqAtTime returns how many entries have a time at or before t, in microseconds since the epoch. Times never decrease
// along seq, so these are the entries with a seq below the answer.
func (l *Ledger) SeqAtTime(t int64) (uint64, error) {
	next := l.published.Load()
	v, err := l.acquire()
	if err != nil {
		return 0, err
	}
	defer v.release()
	n, err := v.countUntil(t, next)
	l.noteDamage(err)
	return n, err
}

func (v *view) countUntil(t int64, next uint64) (uint64, error) {
	if n := v.active.countUntil(t); n > 0 {
		return min(v.active.first+n, next), nil
	}
	for _, s := range v.sealed {
		if n := s.mem.countUntil(t); n > 0 {
			return s.mem.first + n, nil
		}
	}
	// The last segment that begins at or before t holds the answer.
	i := sort.Search(len(v.tables), func(i int) bool { return v.tables[i].Info().FirstTime > t })
	if i == 0 {
		return 0, nil
	}
	table := v.tables[i-1]
	var failed error
	n := sort.Search(int(table.last-table.first+1), func(i int) bool {
		at, err := table.TimeAt(table.first + uint64(i))
		if err != nil && failed == nil {
			failed = err
		}
		return err != nil || at > t
	})
	return table.first + uint64(n), failed
}
