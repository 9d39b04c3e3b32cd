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
