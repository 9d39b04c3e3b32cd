package sstable

import (
	"math"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
)

const gib = 1 << 30

// TestLargestSegment lays out segments that no test can write: offsets beyond 32 bits, as many entries as ordinals name.
func TestLargestSegment(t *testing.T) {
	leaves, seqs := tileArrays(15*gib, MaxEntries)
	if want := 15*gib + uint64(MaxEntries)*32 + 1<<24*segfile.BlockOverhead; leaves.end() != want || seqs.base != want {
		t.Errorf("leaf tiles end at %d, seq tiles begin at %d, want %d", leaves.end(), seqs.base, want)
	}
	for _, a := range []tileArray{leaves, seqs} {
		last := a.handle(a.tiles() - 1)
		if last.Offset+last.Length != a.end() {
			t.Errorf("last tile at %d, %d bytes, does not end at %d", last.Offset, last.Length, a.end())
		}
	}
	for entries, want := range map[uint64]uint64{1: 1, 256: 1, 257: 2, 1 << 16: 2, 1<<16 + 1: 3, 1 << 24: 3, 1<<24 + 1: 4,
		MaxEntries: 4} {
		if got := ordinalBytes(entries); got != want {
			t.Errorf("ordinals of %d entries take %d bytes, want %d", entries, got, want)
		}
	}

	// 16 GiB in two partitions, the second one's blocks beyond 32 bits.
	const end = 16 * gib
	top := topBuilder{}
	top.add(15*gib, 0, 1, 30, 40, separator{})
	top.add(end, math.MaxUint32-10, 2, 50, 60, separator{[]byte("m"), math.MaxUint64})
	ix, err := parseTop(top.finish(), MaxEntries, 0, end+5, end+5+180, end)
	if err != nil {
		t.Fatal(err)
	}
	if next := ix.parts[0].nextSep; string(next.key) != "m" || next.seq != math.MaxUint64 {
		t.Errorf("behind the first partition comes %q", next.key)
	}
	part := indexBuilder{}
	part.add(segfile.Handle{Offset: 15 * gib, Length: gib / 2}, math.MaxUint32-10, separator{})
	part.add(segfile.Handle{Offset: 15*gib + gib/2, Length: gib / 2}, math.MaxUint32-2,
		separator{[]byte("x"), math.MaxUint64})
	p, err := parseIndex(part.finish(), &ix.parts[ix.search([]byte("n"), 1)].indexBounds)
	if err != nil {
		t.Fatal(err)
	}
	if h := p.handle(p.search([]byte("y"), 9)); h.Offset != 15*gib+gib/2 || h.Length != gib/2 {
		t.Errorf("found at %+v", h)
	}
	if n := ix.byOrdinal(MaxEntries - 1); n != 1 || p.byOrdinal(MaxEntries-1) != 1 {
		t.Errorf("the last entry is in partition %d", n)
	}

	props := properties{Info: Info{FirstSeq: 1, LastSeq: MaxEntries, Entries: MaxEntries, MinKey: []byte("a"),
		MaxKey: []byte("b")}, keys: 1}
	if _, err := parseProperties(props.append(nil)); err != nil {
		t.Error(err)
	}
	props.Entries, props.LastSeq = MaxEntries+1, MaxEntries+1
	if _, err := parseProperties(props.append(nil)); err == nil {
		t.Error("more entries than ordinals are taken")
	}
}

// TestValueReferenceBeyond32Bits goes through a block.
func TestValueReferenceBeyond32Bits(t *testing.T) {
	want := largeValue{at: segfile.Handle{Offset: 16*gib - 1<<20, Length: 1 << 20}, size: MaxValueBytes}
	var b blockBuilder
	e := put("v", nil)
	b.add(&e, &want)
	block, err := decodeBlock(b.finish(nil), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := block.large(0); got != want || block.valueSize(0) != MaxValueBytes {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestLongKeysMakeShortPartitions: separators are as long as keys, and a partition is one block of the container.
func TestLongKeysMakeShortPartitions(t *testing.T) {
	long := strings.Repeat("k", 4000)
	var entries []Entry
	for i := range 200 {
		entries = append(entries, put(long+string(rune(0x4e00+i)), noise(100)))
	}
	m := newModel(0, entries)
	file, info := m.build(t, WriterOptions{BlockBytes: 1})
	table := open(t, file, Options{Expect: &info})
	if len(table.top.parts) < 5 {
		t.Errorf("%d partitions", len(table.top.parts))
	}
	if err := table.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
