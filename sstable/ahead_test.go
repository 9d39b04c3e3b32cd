package sstable

import (
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
)

// fullSource has no room for a while.
type fullSource struct {
	*segfile.BytesSource
	asked  [][2]int64 // all ranges
	refuse int        // so many of them
}

func (s *fullSource) Prefetch(off, n int64) bool {
	s.asked = append(s.asked, [2]int64{off, n})
	return len(s.asked) > s.refuse
}

func (s *fullSource) Coming(int64) bool { return true }

// TestReadAheadWithoutRoom: a walk that got no room asks for less, goes on, and asks from where it is, not for what is behind
// it.
func TestReadAheadWithoutRoom(t *testing.T) {
	var entries []Entry
	for i := range 3000 {
		entries = append(entries, put(fmt.Sprintf("%06d", i), noise(1000)))
	}
	m := newModel(0, entries)
	file, _ := m.build(t, WriterOptions{BlockBytes: 4000})
	for _, back := range []bool{false, true} {
		src := &fullSource{BytesSource: segfile.NewBytesSource("f", file), refuse: 40}
		table, err := Open(src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		it := table.Iter(IterOptions{})
		move := it.Next
		if back {
			move = it.Prev
		}
		seen, taken := 0, 0
		for move() {
			at := int64(it.at.at.handle().Offset)
			for ; seen < len(src.asked); seen++ {
				r := src.asked[seen]
				if !back && r[0] < at || back && r[0]+r[1] > at+int64(it.at.at.handle().Length) {
					t.Fatalf("back %v: asks for [%d, %d) when it is at %d", back, r[0], r[0]+r[1], at)
				}
				if seen < src.refuse && r[1] > 4*firstAhead {
					t.Errorf("asks for %d bytes once more when it got none", r[1])
				}
				if seen >= src.refuse {
					taken++
				}
			}
		}
		if it.Err() != nil || taken == 0 || taken > 20 {
			t.Errorf("back %v: %d ranges taken, %d asked for: %v", back, taken, seen, it.Err())
		}
	}
}
