package ledger

import "bytes"

// memSource walks a memtable's keys, each by its newest version with seq <= asOf. It holds nothing while it rests.
type memSource struct {
	m          *memtable
	start, end []byte // [start, end); nil end is no bound
	asOf       uint64
	reverse    bool

	lastHi, lastLo uint64 // head of the bound that the walk runs towards
	begun          bool
	key            uint32 // the key it stands on; 0 when it stands nowhere
	entry          Entry
}

func newMemSource(m *memtable, o ScanOptions) *memSource {
	s := &memSource{m: m, start: o.Start, end: o.End, asOf: o.AsOf, reverse: o.Reverse}
	if s.reverse {
		s.lastHi, s.lastLo = headOf(s.start)
	} else {
		s.lastHi, s.lastLo = headOf(s.end)
	}
	return s
}

// Next moves one key on in the scan's direction.
func (s *memSource) Next() bool {
	switch {
	case !s.begun && s.reverse && s.end == nil:
		return s.settle(s.m.order.prev(0))
	case !s.begun && s.reverse:
		return s.Seek(s.end)
	case !s.begun:
		return s.Seek(s.start)
	case s.key == 0:
		return false
	case s.reverse:
		return s.settle(s.m.order.prev(s.key))
	default:
		return s.settle(s.m.order.next(s.key))
	}
}

// Seek moves to the first key at or after key or, in reverse, to the last one before it, within the bounds.
func (s *memSource) Seek(key []byte) bool {
	if s.reverse {
		if s.end != nil && bytes.Compare(key, s.end) > 0 {
			key = s.end
		}
		return s.settle(s.m.order.seek(key, &s.m.data))
	}
	if bytes.Compare(key, s.start) < 0 {
		key = s.start
	}
	return s.settle(s.m.order.next(s.m.order.seek(key, &s.m.data)))
}

// settle stands on the first key from k on, in the scan's direction, that has a version to show.
func (s *memSource) settle(k uint32) bool {
	s.begun = true
	for ; k != 0 && s.within(k); k = s.beyond(k) {
		if link := s.m.asOf(s.m.order.keys.at(k).newest.Load(), s.asOf); link != 0 {
			s.key = k
			s.m.load(link, &s.entry)
			return true
		}
	}
	s.key = 0
	return false
}

func (s *memSource) beyond(k uint32) uint32 {
	if s.reverse {
		return s.m.order.prev(k)
	}
	return s.m.order.next(k)
}

// within says whether the walk has not reached the bound that it runs towards.
func (s *memSource) within(k uint32) bool {
	key := s.m.order.keys.at(k)
	if s.reverse {
		return len(s.start) == 0 || key.compare(s.lastHi, s.lastLo, s.start, &s.m.data) >= 0
	}
	return s.end == nil || key.compare(s.lastHi, s.lastLo, s.end, &s.m.data) < 0
}

func (s *memSource) Entry() *Entry { return &s.entry }
func (s *memSource) Err() error    { return nil }
func (s *memSource) Close() error  { return nil }
