package wal

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestLargeDataStandsInPlace: a batch with data that is written apart has the bytes that a copy of all would have, and
// is found again.
func TestLargeDataStandsInPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		method := rapid.SampledFrom([]AppendMethod{ByPwrite, ByStores}).Draw(t, "method")
		o := Options{FS: vfs.NewMem(), Dir: "log", FileBytes: 1 << 20, Method: method}
		l, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		var all []raft.Entry
		for range rapid.IntRange(1, 3).Draw(t, "batches") {
			var batch []raft.Entry
			for range rapid.IntRange(1, 4).Draw(t, "entries") {
				size := rapid.SampledFrom([]int{0, 1, 300, apartBytes - 1, apartBytes, apartBytes + 3, 2*apartBytes + 8}).Draw(t, "size")
				index := uint64(len(all) + 1)
				e := raft.Entry{Index: index, Term: 1, Data: bytes.Repeat([]byte{byte(index), 7, byte(size)}, size/3+1)[:size]}
				all, batch = append(all, e), append(batch, e)
			}
			checkApart(t, batch)
			if err := l.Append(&raft.HardState{Term: 1, Vote: 1, Commit: uint64(len(all))}, batch); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l, err = Open(o); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		got, err := l.Entries(1, uint64(len(all)+1), 1<<30)
		if err != nil || len(got) != len(all) {
			t.Fatalf("%d of %d entries, %v", len(got), len(all), err)
		}
		for i := range got {
			if got[i].Index != all[i].Index || !bytes.Equal(got[i].Data, all[i].Data) {
				t.Fatalf("entry %d is another", all[i].Index)
			}
		}
	})
}

// checkApart compares the pieces with what a record looks like to whoever reads it.
func checkApart(t *rapid.T, batch []raft.Entry) {
	e := encoder{id: 3, origin: 5, base: 4096, prev: 9}
	for i := range batch {
		e.entry(&batch[i])
	}
	e.marker(4096, batch[0].Index, batch[len(batch)-1].Index)
	file := make([]byte, 4096)
	from := 0
	for _, p := range e.pieces {
		file = append(append(file, e.buf[from:p.at]...), p.data...)
		from = p.at
	}
	file = append(file, e.buf[from:]...)
	if int64(len(file)) != e.at() {
		t.Fatalf("%d bytes, and the next record would stand at %d", len(file), e.at())
	}
	off, prev := int64(4096), uint64(9)
	for i := range len(batch) + 1 {
		rec, why := recordAt(file, 3, off, prev)
		if why == "" {
			why = rec.checkShape(5, 3)
		}
		if why != "" {
			t.Fatalf("record %d: %s", i, why)
		}
		if i < len(batch) && !bytes.Equal(rec.payload[entryHead:], batch[i].Data) {
			t.Fatalf("record %d has other data", i)
		}
		off, prev = rec.end, rec.sum
	}
	if off != e.at() || prev != e.prev {
		t.Fatalf("the last record ends at %d, not %d", off, e.at())
	}
}
