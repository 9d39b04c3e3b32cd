package ledger

import (
	"bytes"
	"fmt"

	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// merger walks the entries of several segments together in segment order (API.md §1): the ledger's own records by seq,
// then all others by key, within a key the newest first. Leaf hashes are taken over, each after the entry was held
// against it: bytes that went bad under a checksum that holds go no further. It holds a block of each segment, no large
// values, and leaves the block cache alone.
type merger struct {
	heap  []source // a binary heap; the first one's entry comes next
	begun bool
	err   error
}

// source is one of the segments.
type source struct {
	*sstable.ScanIter
	of *table
}

func newMerger(inputs []*table) *merger {
	m := &merger{}
	for _, t := range inputs {
		it := source{t.ByOrdinal(sstable.ScanOptions{Leaves: true, NoFill: true, Reuse: true, LeaveLarge: true}), t}
		if m.advance(it) {
			m.heap = append(m.heap, it)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m
}

// next moves to the next entry; false at the end, or after an error.
func (m *merger) next() bool {
	if m.begun && len(m.heap) > 0 {
		if !m.advance(m.heap[0]) {
			last := len(m.heap) - 1
			m.heap[0] = m.heap[last]
			m.heap = m.heap[:last]
		}
		m.sink(0)
	}
	m.begun = true
	return m.err == nil && len(m.heap) > 0
}

// at is the iterator whose entry comes next.
func (m *merger) at() *sstable.ScanIter { return m.heap[0].ScanIter }

func (m *merger) advance(s source) bool {
	var err error
	if s.Next() {
		e := s.Entry()
		e.Sum()
		if e.LeafHash() == e.Leaf {
			return true
		}
		err = &vfs.CorruptError{File: s.of.owner.segmentFile(s.of.Info().ID), Reason: fmt.Sprintf(
			"entry %d does not give the leaf hash that the segment holds; restore the segment from a peer or a backup", e.Seq)}
	} else {
		err = s.Err()
	}
	if m.err == nil {
		m.err = err
	}
	return false
}

// sink moves the i-th iterator down to its place.
func (m *merger) sink(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(m.heap); c++ {
			if segmentOrder(m.heap[c].Entry(), m.heap[least].Entry()) {
				least = c
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

// segmentOrder says whether a comes before b in a segment.
func segmentOrder(a, b *Entry) bool {
	if a.Op == tlog.OpSegment || b.Op == tlog.OpSegment {
		return a.Op == tlog.OpSegment && (b.Op != tlog.OpSegment || a.Seq < b.Seq)
	}
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c < 0
	}
	return a.Seq > b.Seq
}
