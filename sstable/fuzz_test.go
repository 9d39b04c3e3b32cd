package sstable

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
)

// bounded runs f, which reads input of the given length, and fails when it allocates over that and 1 MiB.
func bounded(t *testing.T, input int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(input)+1<<20; got > limit {
		t.Fatalf("%d bytes allocated for an input of %d", got, input)
	}
}

// FuzzDecodeBlock decodes anything as a data block; what is taken must be in order and searchable.
func FuzzDecodeBlock(f *testing.F) {
	for _, m := range []*model{smallModel(), tiledModel()} {
		b := blockBuilder{firstSeq: m.first}
		for i := range m.entries {
			if m.entries[i].Op != 3 {
				var v *largeValue
				if len(m.entries[i].Value) > 100 {
					v = &largeValue{at: segfile.Handle{Offset: 5, Length: 77}, size: 200}
				}
				b.add(&m.entries[i], v)
			}
		}
		f.Add(m.first, m.last(), b.finish(nil))
	}
	f.Fuzz(func(t *testing.T, first, last uint64, data []byte) {
		if first > last || len(data) > segfile.MaxBlockBytes {
			return
		}
		var b *dataBlock
		var err error
		bounded(t, len(data), func() { b, err = decodeBlock(data, first, last) })
		if err != nil {
			return
		}
		for i := range b.count {
			key := b.appendKey(nil, i)
			if seq := b.seq(i); seq < first || seq > last || len(key) == 0 {
				t.Fatalf("entry %d: seq %d of [%d, %d], key %q", i, seq, first, last, key)
			}
			if b.isLarge(i) {
				b.large(i)
			} else if uint64(len(b.stored(i))) != b.valueSize(i) {
				t.Fatalf("entry %d: value of %d bytes", i, len(b.stored(i)))
			}
			if b.op(i) != 3 && b.search(key, b.seq(i)) != i {
				t.Fatalf("entry %d is found at %d", i, b.search(key, b.seq(i)))
			}
			if i > 0 && b.op(i) != 3 {
				before := b.appendKey(nil, i-1)
				if b.compareKeys(i-1, i) != bytes.Compare(before, key) || b.compareKey(i-1, key) != bytes.Compare(before, key) {
					t.Fatalf("entries %d and %d, %q and %q, compare wrongly", i-1, i, before, key)
				}
			}
		}
	})
}

// FuzzParseIndex parses anything as a partition; searches in what is taken stay within it.
func FuzzParseIndex(f *testing.F) {
	b := indexBuilder{}
	b.add(segfile.Handle{Offset: 10, Length: 10}, 3, separator{})
	b.add(segfile.Handle{Offset: 25, Length: 10}, 5, separate([]byte("abc"), 9, []byte("abd")))
	b.add(segfile.Handle{Offset: 35, Length: 10}, 7, separate([]byte("abd"), 9, []byte("abd")))
	f.Add(b.finish(), uint64(3), uint64(9), true, []byte("abd"), uint64(9))
	b.add(segfile.Handle{Offset: 10, Length: 35}, 0, separator{})
	f.Add(b.finish(), uint64(0), uint64(9), false, []byte("abd"), uint64(9))
	f.Fuzz(func(t *testing.T, data []byte, first, end uint64, keyed bool, key []byte, seq uint64) {
		if first >= end || end > MaxEntries || len(data) < 4 {
			return
		}
		in := &indexBounds{first: first, end: end, blocks: uint64(binary.LittleEndian.Uint32(data)), dataAt: 5,
			dataEnd: 45, keyed: keyed, separator: separator{[]byte("a"), math.MaxUint64},
			nextSep: separator{[]byte("z"), math.MaxUint64}}
		var ix *blockIndex
		var err error
		bounded(t, len(data), func() { ix, err = parseIndex(data, in) })
		if err != nil {
			return
		}
		next := first
		for i := range ix.count {
			at, end := ix.ordinals(i)
			if at != next || end <= at {
				t.Fatalf("block %d has the ordinals [%d, %d)", i, at, end)
			}
			next = end
			if ix.byOrdinal(at) != i || ix.byOrdinal(end-1) != i {
				t.Fatalf("block %d is not where its ordinals are", i)
			}
		}
		if next != end {
			t.Fatalf("blocks hold %d of %d entries", next, end)
		}
		if n := ix.search(key, seq); keyed && (n < 0 || n >= ix.count || n > 0 && ix.separator(n).after(key, seq) ||
			n+1 < ix.count && !ix.separator(n+1).after(key, seq)) {
			t.Fatalf("search(%q, %d) gives block %d of %d", key, seq, n, ix.count)
		}
	})
}

// FuzzParseTop parses anything as the top level.
func FuzzParseTop(f *testing.F) {
	b := topBuilder{}
	b.add(10, 0, 1, 20, 0, separator{})
	b.add(20, 3, 1, 20, 30, separator{})
	b.add(30, 5, 2, 20, 30, separate([]byte("abc"), 9, []byte("abd")))
	b.add(45, 7, 2, 20, 30, separate([]byte("abd"), 9, []byte("abd")))
	f.Add(b.finish(), uint64(9), uint64(3), uint64(170), uint64(45), []byte("abd"), uint64(9))
	f.Fuzz(func(t *testing.T, data []byte, entries, segments, end, dataEnd uint64, key []byte, seq uint64) {
		if entries == 0 || entries > MaxEntries || segments > entries {
			return
		}
		var top *topIndex
		var err error
		bounded(t, 8*len(data), func() { top, err = parseTop(data, entries, segments, 0, end, dataEnd) })
		if err != nil {
			return
		}
		var ordinal, at, data0 uint64
		for i := range top.parts {
			p := &top.parts[i]
			if p.first != ordinal || p.end <= p.first || p.index.Offset != at || p.dataAt != data0 || p.dataEnd <= data0 {
				t.Fatalf("partition %d: %+v", i, p)
			}
			ordinal, at, data0 = p.end, p.filter.Offset+p.filter.Length, p.dataEnd
			if top.byOrdinal(p.first) != i || top.byOrdinal(p.end-1) != i {
				t.Fatalf("partition %d is not where its ordinals are", i)
			}
		}
		if ordinal != entries || at != end || data0 != dataEnd {
			t.Fatalf("partitions end at entry %d, at %d, their data at %d", ordinal, at, data0)
		}
		if n := top.search(key, seq); top.keyed < len(top.parts) && (n < top.keyed || n >= len(top.parts) ||
			n > top.keyed && top.parts[n].separator.after(key, seq) ||
			n+1 < len(top.parts) && !top.parts[n+1].separator.after(key, seq)) {
			t.Fatalf("search(%q, %d) gives partition %d of %d", key, seq, n, len(top.parts))
		}
	})
}

// FuzzParseFilter looks up a key in anything that is taken for a filter.
func FuzzParseFilter(f *testing.F) {
	b := filterBuilder{}
	for _, key := range []string{"a", "b", "c"} {
		b.add([]byte(key))
	}
	f.Add(b.finish(), uint64(2))
	b.add([]byte("a"))
	f.Add(b.finish(), uint64(2))
	f.Add([]byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, hash uint64) {
		if filter, err := parseFilter(data); err == nil {
			filter.mayContain(hash)
		}
	})
}

// FuzzOpen opens anything.
func FuzzOpen(f *testing.F) {
	small, _ := smallModel().build(f, smallOptions)
	f.Add(small)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		bounded(t, len(file), func() { useAll(t, file) })
	})
}

// FuzzSections opens a file whose checksums all hold, with anything in its sections and blocks.
func FuzzSections(f *testing.F) {
	for _, m := range []*model{smallModel(), tiledModel()} {
		p := takeApart(f, m)
		f.Add(joined(p.blocks), p.tiles, joined(p.parts), p.sections[1], p.sections[2], p.sections[4])
	}
	f.Fuzz(func(t *testing.T, blocks, tiles, partitions, top, upper, props []byte) {
		p := parts{blocks: cut(blocks), tiles: tiles, parts: cut(partitions),
			sections: [5][]byte{1: top, 2: upper, 4: props}}
		file := p.assemble(t)
		bounded(t, len(file), func() { _, _ = Open(segfile.NewBytesSource("f", file), Options{}) })
		useAll(t, file)
	})
}

// joined puts pieces together, each with its length before it; cut takes them apart.
func joined(pieces [][]byte) (b []byte) {
	for _, p := range pieces {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(p))), p...)
	}
	return b
}

func cut(b []byte) (pieces [][]byte) {
	for len(b) >= 2 {
		n := min(int(binary.LittleEndian.Uint16(b)), len(b)-2)
		pieces = append(pieces, b[2:2+n])
		b = b[2+n:]
	}
	return pieces
}

// useAll opens a file and reads all of it. Nothing may panic; all errors are *vfs.CorruptError.
func useAll(t *testing.T, file []byte) {
	table, err := Open(segfile.NewBytesSource("f", file), Options{Cache: nil})
	if err != nil {
		if !isCorrupt(err) {
			t.Fatalf("Open: %v", err)
		}
		return
	}
	check := func(what string, err error) {
		if err != nil && !isCorrupt(err) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	it := table.Iter(IterOptions{Leaves: true})
	for it.Next() {
		e := it.Entry()
		got, ok, err := table.Get(e.Key, e.Seq)
		check("Get", err)
		if err == nil && ok && (got.Seq > e.Seq || !bytes.Equal(got.Key, e.Key)) {
			t.Fatalf("Get(%q, %d): %q, %d", e.Key, e.Seq, got.Key, got.Seq)
		}
	}
	check("Iter", it.Err())
	for it = table.Iter(IterOptions{Newest: true, AsOf: table.Info().LastSeq, KeysOnly: true}); it.Prev(); {
		continue
	}
	check("Iter back", it.Err())
	scan := table.BySeq(ScanOptions{})
	for scan.Next() {
		continue
	}
	check("BySeq", scan.Err())
	_, err = table.Inclusion(table.Info().Entries - 1)
	check("Inclusion", err)
	check("Verify", table.Verify(t.Context(), nil))
}
