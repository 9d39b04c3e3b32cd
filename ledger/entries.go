package ledger

import "github.com/scribe-ledger/scribe/sstable"

// Entries walks the ledger in seq order from a seq up to its end at the time of the call, the ledger's own records of
// segments included.
func (l *Ledger) Entries(from uint64, keysOnly bool) (Iterator, error) {
	end := l.published.Load()
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	return &entriesIterator{ledger: l, view: v, next: from, end: end, keysOnly: keysOnly}, nil
}

type entriesIterator struct {
	ledger   *Ledger
	view     *view
	next     uint64 // seq of the entry to come
	end      uint64
	keysOnly bool

	own    Entry             // of a memtable
	from   *sstable.ScanIter // of the segment being walked
	inside *table
	entry  *Entry
	err    error
}

// Next moves one entry on.
func (it *entriesIterator) Next() bool {
	for it.err == nil && it.view != nil && it.next < it.end {
		if it.from != nil && it.next <= it.inside.last {
			if it.from.Next() {
				it.entry = it.from.Entry()
				it.next++
				return true
			}
			if it.err = it.from.Err(); it.err == nil {
				it.err = ErrVersionNotFound // a segment holds all of its seqs: Table checks it, so this cannot be
			}
			break
		}
		if t := it.view.tableOf(it.next); t != nil {
			it.inside = t
			it.from = t.BySeq(sstable.ScanOptions{From: it.next, KeysOnly: it.keysOnly, Leaves: true})
			continue
		}
		it.from = nil
		if it.view.memtableOf(it.next).loadAt(it.next, &it.own) {
			it.entry = &it.own
			it.next++
			return true
		}
		it.err = ErrVersionNotFound
	}
	it.ledger.noteDamage(it.err)
	it.entry = nil
	return false
}

// Entry is the entry the iterator stands on.
func (it *entriesIterator) Entry() *Entry { return it.entry }

// Err is what ended the walk early.
func (it *entriesIterator) Err() error { return it.err }

// Close lets the segments go. It may be called more than once.
func (it *entriesIterator) Close() error {
	if it.view != nil {
		it.view.release()
		it.view, it.entry = nil, nil
	}
	return it.err
}
