package wal

import (
	"slices"
	"sort"

	"github.com/scribe-ledger/scribe/raft"
)

// span finds the live entries of one log file: those that no later record truncated. They are contiguous. It costs 12
// bytes per entry, 16 per change of term and 8 per change of members.
//
// Readers copy the slice headers under Log.mu and go on without it, so an element that was published never changes:
// cut gives up the capacity behind it and a later add moves to new memory.
type span struct {
	first uint64    // index of the first live entry, when there is one
	units []uint32  // offset of each entry's record, in units of 8 bytes
	prevs []uint64  // checksum of the record before it, without which it cannot be verified
	runs  []termRun // where terms begin, ascending

	members []uint64 // indexes of the entries of kind raft.EntryMembers, ascending
}

type termRun struct {
	first uint64
	term  uint64
}

func (s *span) empty() bool   { return len(s.units) == 0 }
func (s *span) after() uint64 { return s.first + uint64(len(s.units)) }

func (s *span) holds(index uint64) bool { return !s.empty() && index >= s.first && index < s.after() }

// add appends the entry that follows the last one held.
func (s *span) add(p pending) {
	if s.empty() {
		s.first = p.index
	}
	s.units = append(s.units, uint32(p.off/align))
	s.prevs = append(s.prevs, p.prev)
	if n := len(s.runs); n == 0 || s.runs[n-1].term != p.term {
		s.runs = append(s.runs, termRun{first: p.index, term: p.term})
	}
	if p.members {
		s.members = append(s.members, p.index)
	}
}

// cut drops the entries from index on.
func (s *span) cut(index uint64) {
	if s.empty() || index >= s.after() {
		return
	}
	if index <= s.first {
		*s = span{}
		return
	}
	n := int(index - s.first)
	s.units = s.units[:n:n]
	s.prevs = s.prevs[:n:n]
	r := sort.Search(len(s.runs), func(i int) bool { return s.runs[i].first >= index })
	s.runs = s.runs[:r:r]
	m, _ := slices.BinarySearch(s.members, index)
	s.members = s.members[:m:m]
}

// term returns the term of an entry that is held.
func (s *span) term(index uint64) uint64 {
	r := sort.Search(len(s.runs), func(i int) bool { return s.runs[i].first > index })
	return s.runs[r-1].term
}

// timeline is the log that the files' records tell, in order: a later entry voids what stood at its index and behind.
type timeline struct {
	files []*logFile
	hard  raft.HardState
	next  uint64 // index of the entry that may come next
}

// add makes the entry at the end of f's records the last one of the log.
func (t *timeline) add(f *logFile, p pending) {
	t.cut(p.index)
	f.span.add(p)
	t.next = p.index + 1
}

// cut drops the entries from index on, in all files.
func (t *timeline) cut(index uint64) {
	if index >= t.next {
		return
	}
	for i := len(t.files) - 1; i >= 0; i-- {
		s := &t.files[i].span
		if !s.empty() && s.after() <= index {
			break
		}
		s.cut(index)
	}
	t.next = index
}

// first is the index of the oldest live entry, or next when there is none.
func (t *timeline) first() uint64 {
	for _, f := range t.files {
		if !f.span.empty() {
			return f.span.first
		}
	}
	return t.next
}

// find returns the position in files of the file that holds index; the caller knows that one does.
func (t *timeline) find(index uint64) int {
	i := sort.Search(len(t.files), func(i int) bool { return t.tail(i) > index })
	return i
}

// tail is the index after the last live entry of files[i] and those before it; 0 when they hold none.
func (t *timeline) tail(i int) uint64 {
	for ; i >= 0; i-- {
		if s := &t.files[i].span; !s.empty() {
			return s.after()
		}
	}
	return 0
}

// termBefore returns the term of entry index-1, 0 when it is not known.
func (t *timeline) termBefore(index uint64) uint64 {
	if index-1 >= t.first() && index <= t.next {
		return t.files[t.find(index-1)].span.term(index - 1)
	}
	for i := len(t.files) - 1; i >= 0; i-- {
		if t.files[i].hdr.first == index {
			return t.files[i].hdr.prevTerm
		}
	}
	return 0
}
