package ledger

import "github.com/scribe-ledger/scribe/sstable"

// History walks the versions of key with seq < before, newest first, tombstones included. Without values the blocks of
// large values are not read.
func (l *Ledger) History(key []byte, before uint64, values bool) (Iterator, error) {
	next := l.published.Load()
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	it := &historyIterator{ledger: l, view: v, key: key, before: min(before, next), values: values}
	it.mems = append(it.mems, it.view.active)
	for _, s := range it.view.sealed {
		it.mems = append(it.mems, s.mem)
	}
	it.tables = it.view.tables
	return it, nil
}

// historyIterator goes through the parts of the ledger from the newest to the oldest.
type historyIterator struct {
	ledger *Ledger
	view   *view
	key    []byte
	before uint64 // versions at or after it are done with
	values bool

	mems   []*memtable // not done with, newest first
	link   uint32      // the version in the first of mems that comes next; valid when found is set
	found  bool
	own    Entry                // of a memtable
	tables []*table             // not looked at yet, newest last
	from   *sstable.VersionIter // of the segment being walked
	entry  *Entry
	err    error
}

// Next moves to the next older version.
func (it *historyIterator) Next() bool {
	for it.err == nil && it.view != nil {
		switch {
		case it.before == 0:
			it.entry = nil
			return false
		case len(it.mems) > 0:
			if it.nextInMemory() {
				return true
			}
		case it.from != nil:
			if it.from.Next() {
				it.entry = it.from.Entry()
				it.before = it.entry.Seq
				if it.entry.Leaf, it.err = it.from.Leaf(); it.err != nil {
					break
				}
				return true
			}
			it.err = it.from.Err()
			it.from = nil
		case len(it.tables) > 0:
			last := len(it.tables) - 1
			t := it.tables[last]
			it.tables = it.tables[:last]
			if t.first < it.before {
				it.from = t.Versions(it.key, it.before-1, !it.values)
			}
		default:
			it.entry = nil
			return false
		}
	}
	it.ledger.noteDamage(it.err)
	it.entry = nil
	return false
}

// nextInMemory moves to the next version in the newest memtable left, or drops that one when it has none.
func (it *historyIterator) nextInMemory() bool {
	m := it.mems[0]
	if !it.found {
		it.found = true
		it.link = m.find(it.key, it.before-1)
	}
	if it.link == 0 {
		it.mems, it.found = it.mems[1:], false
		return false
	}
	m.load(it.link, &it.own)
	it.link = m.version(it.link).older
	it.entry, it.before = &it.own, it.own.Seq
	return true
}

// Entry is the version the iterator stands on. Without values its Value may be nil.
func (it *historyIterator) Entry() *Entry { return it.entry }

// Err is what ended the walk early.
func (it *historyIterator) Err() error { return it.err }

// Close lets the segments go. It may be called more than once.
func (it *historyIterator) Close() error {
	if it.view != nil {
		it.view.release()
		it.view, it.entry = nil, nil
	}
	return it.err
}
