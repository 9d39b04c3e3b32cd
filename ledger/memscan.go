package ledger

import "bytes"

// memSource walks a memtable's keys, each by its newest version with seq <= asOf. It holds no lock, ever.
type memSource struct {
	m          *memtable
	start, end []byte // [start, end); nil end is no bound
	asOf       uint64
	reverse    bool

	bound head // the bound that the walk runs towards
	begun bool
	ended bool
	at    spot
	entry Entry
}

func newMemSource(m *memtable, o ScanOptions) *memSource {
	s := &memSource{m: m, start: o.Start, end: o.End, asOf: o.AsOf, reverse: o.Reverse, bound: headOf(o.End)}
	if s.reverse {
		s.bound = headOf(o.Start)
	}
	return s
}

// Next moves one key on in the scan's direction.
func (s *memSource) Next() bool {
	switch {
	case s.ended:
		return false
	case s.begun:
		return s.settle()
	case s.reverse && s.end == nil:
		s.at = s.m.order.end()
		return s.settle()
	case s.reverse:
		return s.Seek(s.end)
	default:
		return s.Seek(s.start)
	}
}

// Seek moves to the first key at or after key or, in reverse, to the last one before it, within the bounds.
func (s *memSource) Seek(key []byte) bool {
	switch {
	case s.reverse && s.end != nil && bytes.Compare(key, s.end) > 0:
		key = s.end
	case !s.reverse && bytes.Compare(key, s.start) < 0:
		key = s.start
	}
	s.at = s.m.order.seek(key, &s.m.data)
	return s.settle()
}

// settle stands on the next key in the scan's direction that has a version to show.
func (s *memSource) settle() bool {
	s.begun = true
	for slot, ok := s.step(); ok && s.within(slot); slot, ok = s.step() {
		newest := s.m.order.keys.at(s.at.leaf.key[slot]).newest.Load()
		if link := s.m.asOf(newest, s.asOf); link != 0 {
			s.ended = false
			s.m.load(link, &s.entry)
			return true
		}
	}
	s.ended = true
	return false
}

func (s *memSource) step() (slot int, ok bool) {
	if s.reverse {
		return s.at.prev()
	}
	return s.at.next()
}

// within says whether the walk has not reached the bound that it runs towards.
func (s *memSource) within(slot int) bool {
	if s.reverse {
		return len(s.start) == 0 || s.m.order.compare(s.at.leaf, slot, &s.bound, &s.m.data) >= 0
	}
	return s.end == nil || s.m.order.compare(s.at.leaf, slot, &s.bound, &s.m.data) < 0
}

func (s *memSource) Entry() *Entry { return &s.entry }
func (s *memSource) Err() error    { return nil }
func (s *memSource) Close() error  { return nil }
