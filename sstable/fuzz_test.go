package sstable

import (
	"bytes"
	"encoding/binary"
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
				var h *segfile.Handle
				if len(m.entries[i].Value) > 100 {
					h = &segfile.Handle{Offset: 5, Length: 77}
				}
				b.add(&m.entries[i], h)
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
		for i := range b.entries {
			if seq := b.entries[i].seq; seq < first || seq > last || len(b.key(i)) == 0 {
				t.Fatalf("entry %d: seq %d of [%d, %d], key %q", i, seq, first, last, b.key(i))
			}
			if b.entries[i].flags&flagLarge != 0 {
				b.large(i)
			} else if len(b.small(i)) != int(b.entries[i].valueSize) {
				t.Fatalf("entry %d: value of %d bytes", i, len(b.small(i)))
			}
			if b.entries[i].op() != 3 && b.search(b.key(i), b.entries[i].seq) != i {
				t.Fatalf("entry %d is found at %d", i, b.search(b.key(i), b.entries[i].seq))
			}
		}
	})
}

// FuzzParseIndex parses anything as an index; searches in what is taken stay within it.
func FuzzParseIndex(f *testing.F) {
	b := indexBuilder{}
	b.add(segfile.Handle{Offset: 0, Length: 10}, 0, separator{})
	b.add(segfile.Handle{Offset: 10, Length: 10}, 3, separator{})
	b.add(segfile.Handle{Offset: 25, Length: 10}, 5, separate([]byte("abc"), 9, []byte("abd")))
	b.add(segfile.Handle{Offset: 35, Length: 10}, 7, separate([]byte("abd"), 9, []byte("abd")))
	f.Add(b.finish(), uint64(9), uint64(3), uint64(45), []byte("abd"), uint64(9))
	f.Fuzz(func(t *testing.T, data []byte, entries, segments, dataEnd uint64, key []byte, seq uint64) {
		if entries == 0 || entries > MaxEntries || segments > entries {
			return
		}
		var ix *blockIndex
		var err error
		bounded(t, len(data), func() { ix, err = parseIndex(data, entries, segments, dataEnd) })
		if err != nil {
			return
		}
		var next uint64
		for i := range ix.count {
			first, end := ix.ordinals(i)
			if first != next || end <= first {
				t.Fatalf("block %d has the ordinals [%d, %d)", i, first, end)
			}
			next = end
			if ix.byOrdinal(first) != i || ix.byOrdinal(end-1) != i {
				t.Fatalf("block %d is not where its ordinals are", i)
			}
		}
		if next != entries {
			t.Fatalf("blocks hold %d of %d entries", next, entries)
		}
		if ix.keyed == ix.count {
			return
		}
		n := ix.search(key, seq)
		if n < ix.keyed || n >= ix.count || n > ix.keyed && ix.separator(n).after(key, seq) ||
			n+1 < ix.count && !ix.separator(n+1).after(key, seq) {
			t.Fatalf("search(%q, %d) gives block %d of %d", key, seq, n, ix.count)
		}
	})
}

// FuzzParseFilter looks up a key in anything that is taken for a filter.
func FuzzParseFilter(f *testing.F) {
	f.Add(buildFilter([]uint64{1, 2, 3}), uint64(2))
	f.Add(buildFilter([]uint64{7}), uint64(2))
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
		var blocks []byte // length u16 and bytes each
		for _, b := range p.blocks {
			blocks = append(binary.LittleEndian.AppendUint16(blocks, uint16(len(b))), b...)
		}
		f.Add(blocks, p.tiles, p.sections[1], p.sections[2], p.sections[3], p.sections[5])
	}
	f.Fuzz(func(t *testing.T, blocks, tiles, index, filter, upper, props []byte) {
		p := parts{tiles: tiles, sections: [6][]byte{1: index, 2: filter, 3: upper, 5: props}}
		for len(blocks) >= 2 {
			n := min(int(binary.LittleEndian.Uint16(blocks)), len(blocks)-2)
			p.blocks = append(p.blocks, blocks[2:2+n])
			blocks = blocks[2+n:]
		}
		file := p.assemble(t)
		bounded(t, len(file), func() { _, _ = Open(segfile.NewBytesSource("f", file), Options{}) })
		useAll(t, file)
	})
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
