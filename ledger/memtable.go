package ledger

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
	"sync"

	"github.com/tidwall/btree"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// entryOverheadBytes is what an entry costs in a memtable beside its key and value: the Entry, its place in the tree and
// in bySeq, the allocator's rounding. Measured on a heap profile of 256-byte values.
const entryOverheadBytes = 288

// memtable holds the entries of a contiguous seq range that are not in a segment yet. Entries are only ever added, by
// the apply loop; readers come from any goroutine and see what was added before they took the lock. Entries themselves
// never change.
type memtable struct {
	first uint64 // seq of its first entry

	mu     sync.RWMutex
	byKey  *btree.BTreeG[place] // puts and deletes: key ascending, within a key seq descending. Guarded by mu.
	newest map[string]*Entry    // the newest version of each key: what nearly all point reads want. Guarded by mu.
	bySeq  []*Entry             // all entries; bySeq[i] has seq first+i. Guarded by mu.
	bytes  int64                // keys, values and overhead. Guarded by mu.
	client int                  // puts and deletes. Guarded by mu.
	oldest int64                // time of the oldest put or delete, microseconds. Guarded by mu.
}

// newMemtable makes room for as many entries as the memtable before it came to hold.
func newMemtable(first uint64, expected int) *memtable {
	return &memtable{first: first, newest: make(map[string]*Entry, expected), bySeq: make([]*Entry, 0, expected),
		byKey: btree.NewBTreeGOptions(before, btree.Options{NoLocks: true, Degree: 32})}
}

// place is an entry in key order. It carries the first 16 bytes of the key, so that most comparisons need not fetch the
// entry: those fetches were most of what an insert cost.
type place struct {
	hi, lo uint64 // big-endian, zeros behind a shorter key
	*Entry
}

func placeOf(e *Entry) place {
	var head [16]byte
	copy(head[:], e.Key)
	return place{binary.BigEndian.Uint64(head[:]), binary.BigEndian.Uint64(head[8:]), e}
}

// before is segment order among puts and deletes.
func before(a, b place) bool {
	if a.hi != b.hi {
		return a.hi < b.hi
	}
	if a.lo != b.lo {
		return a.lo < b.lo
	}
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c < 0
	}
	return a.Seq > b.Seq
}

// pivot stands just before the newest version of key with seq <= maxSeq.
func pivot(key []byte, maxSeq uint64) place {
	return placeOf(&Entry{Record: tlog.Record{Key: key, Seq: maxSeq}})
}

// add appends entries; the first one's seq is the memtable's end.
func (m *memtable) add(entries []*Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		m.bySeq = append(m.bySeq, e)
		m.bytes += int64(len(e.Key)) + int64(len(e.Value)) + entryOverheadBytes
		if e.Op == tlog.OpSegment {
			continue
		}
		if m.client == 0 {
			m.oldest = e.Time
		}
		m.client++
		m.byKey.Set(placeOf(e))
		m.newest[string(e.Key)] = e
	}
}

// size returns the entries, the bytes, the puts and deletes among the entries, and the time of the oldest of these.
func (m *memtable) size() (entries int, bytes int64, client int, oldest int64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.bySeq), m.bytes, m.client, m.oldest
}

// get returns the newest version of key with seq <= maxSeq, tombstones included; nil when there is none.
func (m *memtable) get(key []byte, maxSeq uint64) *Entry {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found := m.newest[string(key)]
	if found == nil || found.Seq <= maxSeq {
		return found
	}
	found = nil
	m.byKey.Ascend(pivot(key, maxSeq), func(p place) bool {
		if bytes.Equal(p.Key, key) {
			found = p.Entry
		}
		return false
	})
	return found
}

// at returns the entry with a seq; nil when the memtable does not hold it.
func (m *memtable) at(seq uint64) *Entry {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if seq < m.first || seq-m.first >= uint64(len(m.bySeq)) {
		return nil
	}
	return m.bySeq[seq-m.first]
}

// run returns up to len(dst) entries from seq on.
func (m *memtable) run(seq uint64, dst []*Entry) int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if seq < m.first || seq-m.first >= uint64(len(m.bySeq)) {
		return 0
	}
	return copy(dst, m.bySeq[seq-m.first:])
}

// leaves copies leaf hashes from seq on into dst and returns how many it had.
func (m *memtable) leaves(seq uint64, dst []merkle.Hash) int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if seq < m.first || seq-m.first >= uint64(len(m.bySeq)) {
		return 0
	}
	n := min(len(dst), len(m.bySeq)-int(seq-m.first))
	for i := range n {
		dst[i] = m.bySeq[int(seq-m.first)+i].Leaf
	}
	return n
}

// countUntil returns how many entries have a time at or before t, as times never decrease along seq.
func (m *memtable) countUntil(t int64) uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return uint64(sort.Search(len(m.bySeq), func(i int) bool { return m.bySeq[i].Time > t }))
}

// versions returns up to len(dst) versions of key with seq <= maxSeq, newest first.
func (m *memtable) versions(key []byte, maxSeq uint64, dst []*Entry) int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n := 0
	m.byKey.Ascend(pivot(key, maxSeq), func(p place) bool {
		if n == len(dst) || !bytes.Equal(p.Key, key) {
			return false
		}
		dst[n] = p.Entry
		n++
		return true
	})
	return n
}

// sorted returns all entries in segment order: the ledger's own first, by seq, then the rest by key. Only for a memtable
// that no longer grows.
func (m *memtable) sorted() []*Entry {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]*Entry, 0, len(m.bySeq))
	for _, e := range m.bySeq {
		if e.Op == tlog.OpSegment {
			out = append(out, e)
		}
	}
	m.byKey.Scan(func(p place) bool {
		out = append(out, p.Entry)
		return true
	})
	return out
}

// scanChunk bounds how many entries a scan visits under one hold of a memtable's lock.
const scanChunk = 512

// memSource walks a memtable's keys, each by its newest version with seq <= asOf.
type memSource struct {
	m          *memtable
	start, end []byte
	asOf       uint64
	reverse    bool

	resume  *Entry // the last entry visited; nil before the first
	done    bool   // nothing is left to visit beyond chunk
	held    *Entry // reverse: newest version so far of the key being visited, not yet known to be the newest
	chunk   []*Entry
	current *Entry
}

func newMemSource(m *memtable, o ScanOptions) *memSource {
	return &memSource{m: m, start: o.Start, end: o.End, asOf: o.AsOf, reverse: o.Reverse}
}

func (s *memSource) Next() bool {
	for len(s.chunk) == 0 {
		if s.done {
			return false
		}
		if s.reverse {
			s.fillReverse()
		} else {
			s.fillForward()
		}
	}
	s.current, s.chunk = s.chunk[0], s.chunk[1:]
	return true
}

func (s *memSource) Entry() *Entry { return s.current }
func (s *memSource) Err() error    { return nil }
func (s *memSource) Close() error  { return nil }

// fillForward visits the next scanChunk entries. Within a key the newest comes first, so the first visible one is it.
func (s *memSource) fillForward() {
	s.m.mu.RLock()
	defer s.m.mu.RUnlock()
	from := pivot(s.start, ^uint64(0))
	if s.resume != nil {
		from = placeOf(s.resume)
	}
	visited := 0
	s.done = true
	last := s.held // the last entry put out, to skip its older versions
	s.m.byKey.Ascend(from, func(p place) bool {
		e := p.Entry
		if e == s.resume {
			return true
		}
		if s.end != nil && bytes.Compare(e.Key, s.end) >= 0 {
			return false
		}
		if visited == scanChunk {
			s.done = false
			return false
		}
		visited++
		s.resume = e
		if e.Seq <= s.asOf && (last == nil || !bytes.Equal(last.Key, e.Key)) {
			s.chunk = append(s.chunk, e)
			last = e
		}
		return true
	})
	s.held = last
}

// fillReverse visits the previous scanChunk entries. Within a key the oldest comes first, so a key is known only when
// the next one, or the end, is reached.
func (s *memSource) fillReverse() {
	s.m.mu.RLock()
	defer s.m.mu.RUnlock()
	visited := 0
	s.done = true
	visit := func(p place) bool {
		e := p.Entry
		if e == s.resume {
			return true
		}
		if bytes.Compare(e.Key, s.start) < 0 {
			return false
		}
		if visited == scanChunk {
			s.done = false
			return false
		}
		visited++
		s.resume = e
		if s.held != nil && !bytes.Equal(s.held.Key, e.Key) {
			s.chunk = append(s.chunk, s.held)
			s.held = nil
		}
		if e.Seq <= s.asOf {
			s.held = e
		}
		return true
	}
	switch {
	case s.resume != nil:
		s.m.byKey.Descend(placeOf(s.resume), visit)
	case s.end != nil:
		s.m.byKey.Descend(pivot(s.end, ^uint64(0)), visit)
	default:
		s.m.byKey.Reverse(visit)
	}
	if s.done && s.held != nil {
		s.chunk = append(s.chunk, s.held)
		s.held = nil
	}
	s.chunk = slices.Clip(s.chunk)
}
