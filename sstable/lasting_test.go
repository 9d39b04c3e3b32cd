package sstable

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
)

// TestSlicesOfAWalkStayValid keeps keys and values of a walk until its end.
func TestSlicesOfAWalkStayValid(t *testing.T) {
	var entries []Entry
	for i := range 500 {
		entries = append(entries, put(fmt.Sprintf("prefix/%04d", i), fmt.Appendf(nil, "value %d", i)))
	}
	m := newModel(0, entries)
	file, _ := m.build(t, WriterOptions{BlockBytes: 500})
	it := open(t, file, Options{}).Iter(IterOptions{})
	var keys, values [][]byte
	for it.Next() {
		keys, values = append(keys, it.Entry().Key), append(values, it.Entry().Value)
	}
	if it.Err() != nil || len(keys) != len(m.entries) {
		t.Fatalf("%d entries: %v", len(keys), it.Err())
	}
	for i := range keys {
		if !bytes.Equal(keys[i], m.entries[i].Key) || !bytes.Equal(values[i], m.entries[i].Value) {
			t.Fatalf("entry %d is %q: %q by now, want %q", i, keys[i], values[i], m.entries[i].Key)
		}
	}
}

// TestReusedWalk: a long walk whose slices need not stay puts a quarter of the cache's size into it and reads the rest
// into one block's memory; a short one finds all its blocks there the next time.
func TestReusedWalk(t *testing.T) {
	var entries []Entry
	for i := range 2000 {
		entries = append(entries, put(fmt.Sprintf("prefix/%04d", i), fmt.Appendf(nil, "value %d, %048d", i, i)))
	}
	m := newModel(0, entries)
	file, _ := m.build(t, WriterOptions{BlockBytes: 1000})
	walk := func(table *Table) (blocks map[*byte]bool) {
		blocks = make(map[*byte]bool) // the memory of values
		n := 0
		for it := table.Iter(IterOptions{Reuse: true}); it.Next(); n++ {
			if !bytes.Equal(it.Entry().Key, m.entries[n].Key) || !bytes.Equal(it.Entry().Value, m.entries[n].Value) {
				t.Fatalf("entry %d is %q: %q", n, it.Entry().Key, it.Entry().Value)
			}
			blocks[&it.Entry().Value[0]] = true
		}
		if n != len(m.entries) {
			t.Fatal(n)
		}
		return blocks
	}
	if got := len(walk(open(t, file, Options{}))); got > len(m.entries)/4 {
		t.Errorf("values of %d entries lie in %d places", len(m.entries), got)
	}
	for _, size := range []int64{40 << 10, 4 << 20} {
		c := NewBlockCache(size)
		table := open(t, file, Options{Cache: c})
		walk(table)
		first := c.Stats()
		walk(table)
		again := c.Stats().Misses - first.Misses
		if small := size == 4<<20; small != (again == 0) || !small && (first.Bytes < uint64(size)/8 || first.Bytes > uint64(size)/3) {
			t.Errorf("cache of %d bytes: %d held after a walk, which missed %d blocks; %d the second time", size, first.Bytes,
				first.Misses, again)
		}
	}
}

// TestBackOverManyVersions has to get past more versions, too new to show, than a walk steps over one by one.
func TestBackOverManyVersions(t *testing.T) {
	entries := []Entry{put("a", nil), put("b", []byte("oldest"))}
	for range 40 {
		entries = append(entries, put("b", []byte("newer")))
	}
	m := newModel(0, entries)
	for _, blockBytes := range []int{1, 100, 0} {
		file, _ := m.build(t, WriterOptions{BlockBytes: blockBytes})
		it := open(t, file, Options{}).Iter(IterOptions{Newest: true, AsOf: 1})
		if !it.Prev() || string(it.Entry().Value) != "oldest" {
			t.Fatalf("blocks of %d: last: %q, %v", blockBytes, it.Entry().Value, it.Err())
		}
		if !it.Prev() || string(it.Entry().Key) != "a" {
			t.Fatalf("blocks of %d: before it: %q, %v", blockBytes, it.Entry().Key, it.Err())
		}
		if it.Prev() || it.Err() != nil {
			t.Fatalf("blocks of %d: before the first: %q, %v", blockBytes, it.Entry().Key, it.Err())
		}
	}
}

// TestVerifyComparesAStoredHash has a large value, its leaf and all checksums right, but for the hash beside it.
func TestVerifyComparesAStoredHash(t *testing.T) {
	m := newModel(0, []Entry{put("v", noise(200))})
	var file bytes.Buffer
	w, err := NewWriter(&file, 0, 0, WriterOptions{LargeValueBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(&m.entries[0]); err != nil {
		t.Fatal(err)
	}
	w.block.values[len(w.block.values)-1] ^= 1
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	table, err := Open(segfile.NewBytesSource("f", file.Bytes()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Verify(t.Context(), nil); !isCorrupt(err) {
		t.Fatalf("Verify: %v", err)
	}
}
