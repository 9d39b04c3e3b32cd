package sstable

import (
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
)

// TestKeysOfMerges: the record of a merge stands behind those of the segments it consists of, and its key before theirs.
func TestKeysOfMerges(t *testing.T) {
	var entries []Entry
	for i := range uint64(40) {
		entries = append(entries, segmentEntry(16*i, 16*i+15))
		if i%4 == 3 {
			entries = append(entries, segmentEntry(16*(i-3), 16*i+15))
		}
	}
	m := newModel(7, append(entries, put("a", nil), put("b", nil)))
	for _, blockBytes := range []int{200, 16 << 10} {
		file, info := m.build(t, WriterOptions{BlockBytes: blockBytes, Compression: segfile.S2})
		table := open(t, file, Options{Expect: &info})
		for i := range m.entries {
			e, err := table.At(uint64(i), false)
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Key) != string(m.entries[i].Key) || e.Seq != m.entries[i].Seq || e.LeafHash() != m.entries[i].Leaf {
				t.Fatalf("entry %d is %d of %q, not %d of %q", i, e.Seq, e.Key, m.entries[i].Seq, m.entries[i].Key)
			}
		}
	}
}
