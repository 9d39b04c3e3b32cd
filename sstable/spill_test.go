package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// scratchFile is a scratch file as a ledger would make it.
func scratchFile(t testing.TB, fs vfs.FS) vfs.File {
	t.Helper()
	f, err := fs.Create(t.TempDir() + "/scratch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// streamed writes n entries that exist only while they are added, and returns the most heap seen while it did.
func streamed(t *testing.T, n uint64, scratch Scratch, out io.Writer) (info Info, heap uint64) {
	t.Helper()
	w, err := NewWriter(out, 0, n-1, WriterOptions{Scratch: scratch, Compression: segfile.NoCompression})
	if err != nil {
		t.Fatal(err)
	}
	var key, value []byte
	var stats runtime.MemStats
	look := func() {
		runtime.GC()
		runtime.ReadMemStats(&stats)
		heap = max(heap, stats.HeapAlloc)
	}
	for i := range n {
		key = fmt.Appendf(key[:0], "%012d", i)
		value = fmt.Appendf(value[:0], "value %d", i)
		e := Entry{Record: tlog.Record{Op: tlog.OpPut, Seq: i * 7919 % n, Key: key, ValueSize: uint64(len(value)),
			ValueHash: merkle.Hash{1}}, Value: value, Leaf: merkle.Hash{byte(i), byte(i >> 8), 1}}
		if err := w.Add(&e); err != nil {
			t.Fatal(err)
		}
		if i%(n/4) == n/4-1 {
			look()
		}
	}
	if info, err = w.Finish(); err != nil {
		t.Fatal(err)
	}
	look()
	runtime.KeepAlive(w)
	return info, heap
}

// TestBuilderMemoryIsFlat builds one segment that is ten times as large as another one.
func TestBuilderMemoryIsFlat(t *testing.T) {
	const few, many = 20_000, 200_000
	_, small := streamed(t, few, scratchFile(t, vfs.NewOS()), io.Discard)
	_, large := streamed(t, many, scratchFile(t, vfs.NewOS()), io.Discard)
	grown := int64(large) - int64(small)
	t.Logf("heap: %d bytes for %d entries, %d for %d", small, few, large, many)
	// What grows is a bit over a fifth of a byte an entry, and a partition's builders that are full only in the large one.
	if limit := int64(2 << 20); grown > limit {
		t.Errorf("%d more entries take %d bytes more: %d an entry", many-few, grown, grown/(many-few))
	}
}

// TestScratchesAgree builds one segment with a scratch file and one without.
func TestScratchesAgree(t *testing.T) {
	var inMemory, inFile bytes.Buffer
	one, _ := streamed(t, 70_000, nil, &inMemory)
	two, _ := streamed(t, 70_000, scratchFile(t, vfs.NewOS()), &inFile)
	if one.Root != two.Root || !bytes.Equal(inMemory.Bytes(), inFile.Bytes()) {
		t.Fatalf("%d bytes with root %s, %d bytes with root %s", inMemory.Len(), one.Root, inFile.Len(), two.Root)
	}
	table := open(t, inFile.Bytes(), Options{ResidentBytes: -1, Cache: NewBlockCache(1 << 20)})
	for _, seq := range []uint64{0, 1, bucketSeqs - 1, bucketSeqs, bucketSeqs + 1, 69_999} {
		if e, err := table.GetBySeq(seq); err != nil || e.Seq != seq {
			t.Errorf("entry %d: %d, %v", seq, e.Seq, err)
		}
	}
	err := table.Verify(t.Context(), func(e *Entry) merkle.Hash {
		i := e.Key[len(e.Key)-6:]
		var n int
		fmt.Sscanf(string(i), "%d", &n)
		return merkle.Hash{byte(n), byte(n >> 8), 1}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSeqThatComesTwice gives one seq to two keys: no order is broken, another seq is missing.
func TestSeqThatComesTwice(t *testing.T) {
	m := newModel(0, []Entry{put("a", nil), put("b", nil), put("c", nil)})
	m.entries[1].Seq = 0
	w, err := NewWriter(io.Discard, 0, 2, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.entries {
		if err := w.Add(&m.entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Fatalf("finished: %v", err)
	}
}

// failingScratch fails after some calls, or gives other bytes back than it took.
type failingScratch struct {
	memoryScratch
	calls int
	err   error
	flip  bool
}

func (s *failingScratch) WriteAt(p []byte, off int64) (int, error) {
	if s.calls--; s.calls < 0 {
		return 0, s.err
	}
	return s.memoryScratch.WriteAt(p, off)
}

func (s *failingScratch) ReadAt(p []byte, off int64) (int, error) {
	if s.calls--; s.calls < 0 {
		if s.err != nil {
			return 0, s.err
		}
	}
	n, err := s.memoryScratch.ReadAt(p, off)
	if s.flip {
		p[0] ^= 1
	}
	return n, err
}

func TestScratchThatFails(t *testing.T) {
	m := tiledModel()
	build := func(s Scratch) error {
		w, err := NewWriter(io.Discard, m.first, m.last(), WriterOptions{Scratch: s, PartitionBlocks: 1, BlockBytes: 100})
		if err != nil {
			return err
		}
		for i := range m.entries {
			if err := w.Add(&m.entries[i]); err != nil {
				return err
			}
		}
		_, err = w.Finish()
		return err
	}
	broken := errors.New("broken")
	for calls := 0; ; calls++ {
		err := build(&failingScratch{calls: calls, err: broken})
		if err == nil {
			if calls < 10 {
				t.Fatalf("only %d calls of the scratch file", calls)
			}
			break
		}
		if !errors.Is(err, broken) {
			t.Fatalf("call %d fails: %v", calls, err)
		}
	}
	if err := build(&failingScratch{calls: math.MaxInt, flip: true}); err == nil {
		t.Error("a scratch file that gives other bytes back is taken")
	}
}

func TestManyEntriesWantAScratch(t *testing.T) {
	if _, err := NewWriter(io.Discard, 0, MaxEntriesInMemory, WriterOptions{}); err == nil {
		t.Error("a writer without a scratch file takes more entries than it may hold")
	}
	if _, err := NewWriter(io.Discard, 0, MaxEntries-1, WriterOptions{Scratch: &memoryScratch{}}); err != nil {
		t.Error(err)
	}
}
