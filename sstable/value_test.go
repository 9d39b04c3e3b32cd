package sstable

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/segfile"
)

// noise is n bytes that no compression shrinks.
func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(b)
	return b
}

// TestValueReadAt reads ranges of small and large values beside a bytes.Reader.
func TestValueReadAt(t *testing.T) {
	const piece = segfile.PieceBytes
	values := [][]byte{nil, []byte("small"), noise(40 << 10), noise(piece), noise(piece + 1),
		bytes.Repeat([]byte("scribe "), 3*piece/7), noise(5*piece + 77)}
	var entries []Entry
	for i, v := range values {
		entries = append(entries, put(string(rune('a'+i)), v))
	}
	m := newModel(7, entries)
	file, _ := m.build(t, WriterOptions{})
	table := open(t, file, Options{})
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(0, len(values)-1).Draw(rt, "value")
		want := bytes.NewReader(values[i])
		v, err := table.OpenValue(7 + uint64(i))
		if err != nil || v.Size() != uint64(len(values[i])) || v.Hash() != m.entries[i].ValueHash {
			rt.Fatalf("value %d: %d bytes, %s, %v", i, v.Size(), v.Hash(), err)
		}
		for range 10 {
			off := rapid.Int64Range(0, int64(len(values[i])+10)).Draw(rt, "off")
			n := rapid.OneOf(rapid.IntRange(0, 10), rapid.IntRange(0, 3*piece)).Draw(rt, "n")
			got, exp := make([]byte, n), make([]byte, n)
			k, err := v.ReadAt(got, off)
			l, wantErr := want.ReadAt(exp, off)
			if k != l || !bytes.Equal(got, exp) || (err == io.EOF) != (wantErr == io.EOF) || err != nil && err != io.EOF {
				rt.Fatalf("ReadAt(%d bytes, %d) of %d: %d, %v; want %d, %v", n, off, len(values[i]), k, err, l, wantErr)
			}
		}
		if whole, err := io.ReadAll(io.NewSectionReader(v, 0, int64(v.Size()))); err != nil || !bytes.Equal(whole, values[i]) {
			rt.Fatalf("whole value: %d bytes, %v", len(whole), err)
		}
	})
	if _, err := table.OpenValue(99); err == nil || isCorrupt(err) {
		t.Errorf("a seq of another segment: %v", err)
	}
}

// TestValueReadsOnlyItsPieces damages one piece: ranges beside it are not harmed, and cost no read of it.
func TestValueReadsOnlyItsPieces(t *testing.T) {
	value := noise(4 * segfile.PieceBytes)
	m := newModel(0, []Entry{put("v", value)})
	file, _ := m.build(t, WriterOptions{})
	file[2*(segfile.PieceBytes+segfile.BlockOverhead)+100] ^= 1 // in the third piece
	src := &countingSource{BytesSource: segfile.NewBytesSource("f", file)}
	table, err := Open(src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := table.OpenValue(0)
	if err != nil {
		t.Fatal(err)
	}
	src.reads = 0
	buf := make([]byte, 100)
	for _, off := range []int64{0, segfile.PieceBytes + 5, 3*segfile.PieceBytes + 9} {
		if _, err := v.ReadAt(buf, off); err != nil || !bytes.Equal(buf, value[off:off+100]) {
			t.Fatalf("at %d: %v", off, err)
		}
	}
	if src.reads != 3 {
		t.Errorf("three ranges took %d reads", src.reads)
	}
	n, err := v.ReadAt(make([]byte, 2*segfile.PieceBytes), segfile.PieceBytes)
	if !isCorrupt(err) || n != segfile.PieceBytes {
		t.Errorf("over the damaged piece: %d bytes, %v", n, err)
	}
	if _, err := v.ReadAt(buf, 5); err != nil || !bytes.Equal(buf, value[5:105]) {
		t.Errorf("after an error: %v", err)
	}
	if _, _, err := table.Get([]byte("v"), 0); !isCorrupt(err) {
		t.Errorf("Get of the damaged value: %v", err)
	}
}

// TestMergeCopiesValues builds a segment anew from its own walk, as a merge does.
func TestMergeCopiesValues(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, table := drawTable(rt, t)
		var out bytes.Buffer
		opts := drawWriterOptions(rt)
		w, err := NewWriter(&out, m.first, m.last(), opts)
		if err != nil {
			rt.Fatal(err)
		}
		it := table.ByOrdinal(ScanOptions{Leaves: true, NoFill: true, Reuse: rapid.Bool().Draw(rt, "reuse"),
			LeaveLarge: rapid.Bool().Draw(rt, "leave")})
		for it.Next() {
			if err := w.AddFrom(it); err != nil {
				rt.Fatal(err)
			}
		}
		w.SetLedgerNodes(m.nodes)
		info, err := w.Finish()
		if err != nil || it.Err() != nil || info.Root != table.Info().Root {
			rt.Fatalf("%v, %v, root %s, want %s", err, it.Err(), info.Root, table.Info().Root)
		}
		copied := open(t, out.Bytes(), Options{Expect: &info})
		if err := copied.Verify(t.Context(), nil); err != nil {
			rt.Fatal(err)
		}
		scan := copied.ByOrdinal(ScanOptions{Leaves: true})
		for i := range m.entries {
			if !scan.Next() {
				rt.Fatal(scan.Err())
			}
			if err := same(scan.Entry(), &m.entries[i], false, true); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// TestMergeHoldsOnePiece copies a value much larger than what it may allocate.
func TestMergeHoldsOnePiece(t *testing.T) {
	m := newModel(0, []Entry{put("v", noise(16<<20)), put("w", nil)})
	file, _ := m.build(t, WriterOptions{})
	table := open(t, file, Options{})
	w, err := NewWriter(io.Discard, 0, 1, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	it := table.ByOrdinal(ScanOptions{Leaves: true, NoFill: true, LeaveLarge: true})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for it.Next() {
		if err := w.AddFrom(it); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	if held := after.TotalAlloc - before.TotalAlloc; held > 2<<20 {
		t.Errorf("%d bytes allocated", held)
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
}

// TestMergeMeetsDamage stops a copy at the damaged piece, and the writer with it.
func TestMergeMeetsDamage(t *testing.T) {
	m := newModel(0, []Entry{put("v", noise(3*segfile.PieceBytes))})
	file, _ := m.build(t, WriterOptions{})
	file[segfile.PieceBytes+100] ^= 1
	it := open(t, file, Options{}).ByOrdinal(ScanOptions{Leaves: true, LeaveLarge: true})
	w, err := NewWriter(io.Discard, 0, 0, WriterOptions{})
	if err != nil || !it.Next() {
		t.Fatal(err, it.Err())
	}
	if err := w.AddFrom(it); !isCorrupt(err) {
		t.Fatalf("AddFrom: %v", err)
	}
	if _, err := w.Finish(); !isCorrupt(err) {
		t.Fatalf("Finish: %v", err)
	}
}

// TestDeclaredSizeAllocatesNothing: a reference of a few bytes to 64 MiB.
func TestDeclaredSizeAllocatesNothing(t *testing.T) {
	m := newModel(0, []Entry{put("v", noise(200))})
	var file bytes.Buffer
	w, err := NewWriter(&file, 0, 0, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(&m.entries[0]); err != nil {
		t.Fatal(err)
	}
	w.block.reset()
	w.block.add(&m.entries[0], &largeValue{at: segfile.Handle{Offset: 0, Length: 30}, size: MaxValueBytes})
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	table := open(t, file.Bytes(), Options{})
	bounded(t, file.Len(), func() {
		if _, _, err := table.Get([]byte("v"), 0); !isCorrupt(err) {
			t.Errorf("Get: %v", err)
		}
	})
}
