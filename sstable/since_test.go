package sstable

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/segfile"
)

// Property: PeekSince finds what PeekHashed finds, if that is new enough.
func TestPeekSince(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, table := drawTable(rt, t)
		for range 40 {
			key := rapid.SampledFrom(m.entries).Draw(rt, "entry").Key
			if rapid.IntRange(0, 3).Draw(rt, "absent") == 0 {
				key = rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 'b', 0xff}), 1, 5).Draw(rt, "other")
			}
			seq := rapid.Uint64Range(max(m.first, 1)-1, m.last()+1)
			from := rapid.OneOf(seq, rapid.Just(uint64(0))).Draw(rt, "from")
			maxSeq := rapid.OneOf(seq, rapid.Just(uint64(math.MaxUint64))).Draw(rt, "maxSeq")
			at, found := m.get(key, maxSeq)
			e, ok, err := table.PeekSince(key, HashKey(key), from, maxSeq)
			switch {
			case err != nil:
				rt.Fatal(err)
			case ok && (!found || e.Seq != m.entries[at].Seq || e.Op != m.entries[at].Op):
				rt.Fatalf("%q in [%d, %d] is entry %d, which is not its newest", key, from, maxSeq, e.Seq)
			case !ok && found && m.entries[at].Seq >= from:
				rt.Fatalf("%q in [%d, %d] is not found, it is entry %d", key, from, maxSeq, m.entries[at].Seq)
			}
		}
	})
}

// TestPeekSinceReadsNoBlock: blocks without an entry that is new enough are not read, wherever the tiles of the seq index end.
func TestPeekSinceReadsNoBlock(t *testing.T) {
	var entries []Entry
	for i := range 3*seqTileWidth + 10 {
		entries = append(entries, put(string(rune('a'+i%4)), []byte{byte(i)}))
	}
	for i := range 20 {
		entries = append(entries, put("z", []byte{byte(i)}))
	}
	m := newModel(7, entries)
	file, _ := m.build(t, WriterOptions{BlockBytes: 400})
	src := &countingSource{BytesSource: segfile.NewBytesSource("test.seg", file)}
	table, err := Open(src, Options{Cache: NewBlockCache(1 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	z := m.last() - 19 // the first one
	last := map[string]uint64{}
	for i := range entries {
		e := &entries[i]
		last[string(e.Key)] = max(last[string(e.Key)], e.Seq)
	}
	for key, newest := range last {
		hash := HashKey([]byte(key))
		for _, from := range []uint64{z, m.last()} {
			src.reads = 0
			_, ok, err := table.PeekSince([]byte(key), hash, from, math.MaxUint64)
			if tiles := 1; err != nil || ok != (key == "z") || key != "z" && src.reads > tiles {
				t.Errorf("%q since %d: %v, %v, after %d reads", key, from, ok, err, src.reads)
			}
		}
		if e, ok, err := table.PeekSince([]byte(key), hash, newest, math.MaxUint64); err != nil || !ok || e.Seq != newest {
			t.Errorf("%q since its newest version: %d, %v, %v", key, e.Seq, ok, err)
		}
	}
}
