package sstable

import (
	"bytes"
	"math"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// drawWriterOptions makes blocks small, so that few entries make many blocks and large values.
func drawWriterOptions(t *rapid.T) WriterOptions {
	methods := []segfile.Compression{segfile.NoCompression, segfile.S2, segfile.Zstd}
	return WriterOptions{
		PartitionBlocks: rapid.SampledFrom([]int{0, 1, 2, 5}).Draw(t, "partition"),
		Compression:     rapid.SampledFrom(methods).Draw(t, "method"),
		BlockBytes:      rapid.SampledFrom([]int{1, 100, 1000, 0}).Draw(t, "block"),
		LargeValueBytes: rapid.SampledFrom([]int{1, 30, 1000, 0}).Draw(t, "large"),
	}
}

func drawTable(t *rapid.T, tb testing.TB) (*model, *Table) {
	m := drawModel(t)
	file, info := m.build(tb, drawWriterOptions(t))
	opts := Options{Expect: &info, ResidentBytes: rapid.SampledFrom([]int64{0, -1, 100}).Draw(t, "resident")}
	if rapid.Bool().Draw(t, "cached") {
		opts.Cache = NewBlockCache(rapid.SampledFrom([]int64{1000, 1 << 20}).Draw(t, "cache"))
	}
	return m, open(tb, file, opts)
}

func TestInfoAndRoot(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(rt)
		file, info := m.build(t, drawWriterOptions(rt))
		table := open(t, file, Options{Expect: &info})
		leaves := make([]merkle.Hash, len(m.entries))
		for i := range leaves {
			leaves[i] = m.entries[i].Leaf
		}
		keyed := m.scan(IterOptions{})
		got := table.Info()
		if got.Root != info.Root || info.Root != merkle.RootOf(leaves) {
			rt.Fatalf("root %s, Finish said %s, the leaves have %s", got.Root, info.Root, merkle.RootOf(leaves))
		}
		if info.ID != tlog.SegmentID(m.first, m.last()) || info.FirstSeq != m.first || info.LastSeq != m.last() ||
			info.Entries != uint64(len(m.entries)) || info.Bytes != uint64(len(file)) ||
			info.FirstTime != m.entries[m.bySeq[0]].Time || info.LastTime != m.entries[m.bySeq[len(m.bySeq)-1]].Time {
			rt.Fatalf("info %+v", info)
		}
		if int(table.SegmentEntries()) != len(m.entries)-len(keyed) {
			rt.Fatalf("%d segment entries, want %d", table.SegmentEntries(), len(m.entries)-len(keyed))
		}
		if len(keyed) == 0 {
			if info.MinKey != nil || info.MaxKey != nil || got.MinKey != nil || got.MaxKey != nil {
				rt.Fatalf("keys from %q to %q in a segment without any", info.MinKey, info.MaxKey)
			}
		} else if !bytes.Equal(got.MinKey, keyed[0].Key) || !bytes.Equal(got.MaxKey, keyed[len(keyed)-1].Key) {
			rt.Fatalf("keys from %q to %q", got.MinKey, got.MaxKey)
		}
		nodes, err := table.LedgerNodes()
		if err != nil || !slices.Equal(nodes, m.nodes) {
			rt.Fatalf("ledger nodes %v, %v; want %v", nodes, err, m.nodes)
		}
		if err := table.Verify(t.Context(), nil); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestGetAndFind(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, table := drawTable(rt, t)
		for range 40 {
			var key []byte
			if rapid.Bool().Draw(rt, "present") {
				key = rapid.SampledFrom(m.entries).Draw(rt, "entry").Key
			} else {
				key = rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 'b', 0xff}), 0, 5).Draw(rt, "absent")
			}
			maxSeq := rapid.OneOf(rapid.Just(uint64(math.MaxUint64)), rapid.Just(uint64(0)),
				rapid.Uint64Range(m.first, m.last())).Draw(rt, "maxSeq")
			ordinal, found := m.get(key, maxSeq)
			e, ok, err := table.Get(key, maxSeq)
			if err != nil || ok != found {
				rt.Fatalf("Get(%q, %d): %v, %v; want %v", key, maxSeq, ok, err, found)
			}
			fe, at, ok, err := table.Find(key, maxSeq)
			if err != nil || ok != found || at != uint64(ordinal) {
				rt.Fatalf("Find(%q, %d): %d, %v, %v; want %d, %v", key, maxSeq, at, ok, err, ordinal, found)
			}
			if !found {
				continue
			}
			if !table.MayContain(key) {
				rt.Fatalf("filter denies %q", key)
			}
			if err := same(&e, &m.entries[ordinal], false, false); err != nil {
				rt.Fatal(err)
			}
			if err := same(&fe, &m.entries[ordinal], true, false); err != nil || fe.ValueHash != m.entries[ordinal].ValueHash {
				rt.Fatal(err, fe.ValueHash)
			}
		}
	})
}

func TestBySeqAndOrdinal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, table := drawTable(rt, t)
		leaves := make([]merkle.Hash, len(m.entries))
		if err := table.Leaves(m.first, leaves); err != nil {
			rt.Fatal(err)
		}
		for ordinal := rapid.IntRange(0, 9).Draw(rt, "begin"); ordinal < len(m.entries); ordinal += 1 + len(m.entries)/30 {
			want := &m.entries[ordinal]
			e, err := table.GetBySeq(want.Seq)
			if err != nil {
				rt.Fatal(err)
			}
			if err := same(&e, want, false, false); err != nil {
				rt.Fatal(err)
			}
			if got, err := table.Ordinal(want.Seq); err != nil || got != uint64(ordinal) {
				rt.Fatalf("entry %d at ordinal %d, want %d (%v)", want.Seq, got, ordinal, err)
			}
			if e, err = table.At(uint64(ordinal), true); err != nil || e.ValueHash != want.ValueHash {
				rt.Fatal(err, e.ValueHash)
			}
			if err := same(&e, want, true, false); err != nil {
				rt.Fatal(err)
			}
			if at, err := table.TimeAt(want.Seq); err != nil || at != want.Time {
				rt.Fatalf("time %d, want %d (%v)", at, want.Time, err)
			}
			if leaves[want.Seq-m.first] != want.Leaf {
				rt.Fatalf("leaf of entry %d differs", want.Seq)
			}
			proof, err := table.Inclusion(uint64(ordinal))
			if err != nil {
				rt.Fatal(err)
			}
			err = merkle.VerifyInclusion(want.Leaf, uint64(ordinal), uint64(len(m.entries)), proof, table.Info().Root)
			if err != nil {
				rt.Fatalf("proof of ordinal %d: %v", ordinal, err)
			}
		}
	})
}

func TestOutsideTheSegment(t *testing.T) {
	m := newModel(10, []Entry{put("a", nil), put("b", nil)})
	file, info := m.build(t, WriterOptions{})
	table := open(t, file, Options{})
	for _, seq := range []uint64{9, 12, math.MaxUint64} {
		if _, err := table.GetBySeq(seq); err == nil || isCorrupt(err) {
			t.Errorf("GetBySeq(%d): %v", seq, err)
		}
	}
	if _, err := table.At(2, false); err == nil || isCorrupt(err) {
		t.Errorf("At(2): %v", err)
	}
	if _, err := table.Inclusion(2); err == nil || isCorrupt(err) {
		t.Errorf("Inclusion(2): %v", err)
	}
	for name, change := range map[string]func(*Info){
		"first":   func(i *Info) { i.FirstSeq-- },
		"last":    func(i *Info) { i.LastSeq++ },
		"entries": func(i *Info) { i.Entries++ },
		"root":    func(i *Info) { i.Root[31] ^= 1 },
		"bytes":   func(i *Info) { i.Bytes++ },
	} {
		wrong := info
		change(&wrong)
		if _, err := Open(segfile.NewBytesSource("f", file), Options{Expect: &wrong}); !isCorrupt(err) {
			t.Errorf("Open with another %s: %v", name, err)
		}
	}
}

// TestPointLookupReadsOneBlock counts the reads of a table without a cache.
func TestPointLookupReadsOneBlock(t *testing.T) {
	var entries []Entry
	for i := range 2000 {
		entries = append(entries, put(string(rune('a'+i%7))+string(rune('a'+i%101)), bytes.Repeat([]byte{byte(i)}, 100)))
	}
	m := newModel(0, entries)
	file, _ := m.build(t, WriterOptions{BlockBytes: 1000})
	src := &countingSource{BytesSource: segfile.NewBytesSource("f", file)}
	table, err := Open(src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.entries {
		e := &m.entries[i]
		src.reads = 0
		got, ok, err := table.Get(e.Key, e.Seq)
		if err != nil || !ok || got.Seq != e.Seq {
			t.Fatalf("Get(%q, %d): %d, %v, %v", e.Key, e.Seq, got.Seq, ok, err)
		}
		if src.reads != 1 {
			t.Fatalf("Get(%q, %d) took %d reads", e.Key, e.Seq, src.reads)
		}
	}
	src.reads = 0
	if _, ok, _ := table.Get([]byte("A"), math.MaxUint64); ok || src.reads != 0 {
		t.Fatalf("a key before the first took %d reads", src.reads)
	}
}

type countingSource struct {
	*segfile.BytesSource
	reads int
}

func (s *countingSource) Slice(off, n int64) ([]byte, error) {
	s.reads++
	return s.BytesSource.Slice(off, n)
}

func TestConcurrentReaders(t *testing.T) {
	var entries []Entry
	for i := range 600 {
		entries = append(entries, put(string(rune('a'+i%26)), bytes.Repeat([]byte{byte(i)}, 50+i%100)))
	}
	m := newModel(0, entries)
	file, _ := m.build(t, WriterOptions{BlockBytes: 500, LargeValueBytes: 140, Compression: segfile.Zstd})
	cache := NewBlockCache(20 << 10)
	table := open(t, file, Options{Cache: cache})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				want := &m.entries[(i*7+g*31)%len(m.entries)]
				e, ok, err := table.Get(want.Key, want.Seq)
				if err != nil || !ok || !bytes.Equal(e.Value, want.Value) {
					t.Errorf("Get(%q, %d): %v, %v", want.Key, want.Seq, ok, err)
					return
				}
				if e, err = table.GetBySeq(want.Seq); err != nil || !bytes.Equal(e.Key, want.Key) {
					t.Errorf("GetBySeq(%d): %v", want.Seq, err)
					return
				}
			}
			it := table.Iter(IterOptions{Leaves: true})
			n := 0
			for it.Next() {
				n++
			}
			if it.Err() != nil || n != len(m.entries) {
				t.Errorf("scan of %d entries: %v", n, it.Err())
			}
		})
	}
	wg.Wait()
	if s := cache.Stats(); s.Bytes > s.MaxBytes || s.Hits == 0 || s.Misses == 0 {
		t.Errorf("cache: %+v", s)
	}
}
