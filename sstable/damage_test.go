package sstable

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
)

// smallModel has a bit of everything in a few hundred bytes.
func smallModel() *model {
	typed := put("k/typed", []byte("<p>"))
	typed.ContentType, typed.Principal = "text/html", "someone"
	m := newModel(7, []Entry{
		put("k/one", []byte("1")), segmentEntry(0, 6), del("k/one"), put("k/big", bytes.Repeat([]byte("0123456789"), 20)),
		put("k/one", []byte("11")), typed, put("\x00\xff", nil), put("k/two", []byte("2")),
	})
	m.nodes = []merkle.Hash{merkle.LeafHash([]byte("node"))}
	return m
}

var smallOptions = WriterOptions{BlockBytes: 30, LargeValueBytes: 100}

// tiledModel has more entries than one leaf tile takes.
func tiledModel() *model {
	var entries []Entry
	for i := range 270 {
		entries = append(entries, put(string(rune('A'+i%40)), []byte{byte(i)}))
	}
	return newModel(1<<40, entries)
}

// agrees asks a damaged table for everything. Each answer must be the model's or a *vfs.CorruptError.
func agrees(t *testing.T, m *model, table *Table) {
	t.Helper()
	for i := range m.entries {
		want := &m.entries[i]
		if ordinal, found := m.get(want.Key, want.Seq); found {
			e, ok, err := table.Get(want.Key, want.Seq)
			if err == nil && (!ok || same(&e, &m.entries[ordinal], false, false) != nil) || err != nil && !isCorrupt(err) {
				t.Fatalf("Get(%q, %d) of a damaged file: %v, %+v, %v", want.Key, want.Seq, ok, e.Record, err)
			}
		}
		e, err := table.GetBySeq(want.Seq)
		if err == nil && same(&e, want, false, false) != nil || err != nil && !isCorrupt(err) {
			t.Fatalf("GetBySeq(%d) of a damaged file: %+v, %v", want.Seq, e.Record, err)
		}
		if leaf, err := table.Leaf(uint64(i)); err == nil && leaf != want.Leaf || err != nil && !isCorrupt(err) {
			t.Fatalf("Leaf(%d) of a damaged file: %s, %v", i, leaf, err)
		}
	}
	it, want := table.Iter(IterOptions{}), m.scan(IterOptions{})
	n := 0
	for ; it.Next(); n++ {
		if err := same(it.Entry(), &want[n], false, false); err != nil {
			t.Fatalf("scan of a damaged file: %v", err)
		}
	}
	if it.Err() == nil && n != len(want) || it.Err() != nil && !isCorrupt(it.Err()) {
		t.Fatalf("scan of a damaged file ends after %d of %d entries: %v", n, len(want), it.Err())
	}
}

// TestFlippedBits flips three bits of every byte of a small segment file, and a bit of every byte of one with two leaf tiles.
func TestFlippedBits(t *testing.T) {
	zstd := smallOptions
	zstd.Compression = segfile.Zstd
	for name, c := range map[string]struct {
		m    *model
		opts WriterOptions
		bits []int
		step int
	}{
		"small":      {smallModel(), smallOptions, []int{0, 4, 7}, 1},
		"small zstd": {smallModel(), zstd, []int{3}, 1},
		"tiled":      {tiledModel(), WriterOptions{BlockBytes: 500}, []int{5}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			file, info := c.m.build(t, c.opts)
			for at := 0; at < len(file); at += c.step {
				for _, bit := range c.bits {
					file[at] ^= 1 << bit
					table, err := Open(segfile.NewBytesSource("damaged", file), Options{Expect: &info})
					if err != nil {
						if !isCorrupt(err) {
							t.Fatalf("bit %d of byte %d: Open: %v", bit, at, err)
						}
					} else {
						if err := table.Verify(t.Context(), nil); !isCorrupt(err) {
							t.Fatalf("bit %d of byte %d of %d: Verify: %v", bit, at, len(file), err)
						}
						if c.step == 1 {
							agrees(t, c.m, table)
						}
					}
					file[at] ^= 1 << bit
				}
			}
		})
	}
}

func TestTruncation(t *testing.T) {
	file, _ := smallModel().build(t, smallOptions)
	for n := range file {
		if _, err := Open(segfile.NewBytesSource("short", file[:n]), Options{}); !isCorrupt(err) {
			t.Fatalf("%d of %d bytes: %v", n, len(file), err)
		}
	}
	if _, err := Open(segfile.NewBytesSource("long", append(slices.Clip(file), 0)), Options{}); !isCorrupt(err) {
		t.Fatalf("a byte too many: %v", err)
	}
}

// TestMovedBytes puts valid bytes where they do not belong: checksums alone would pass.
func TestMovedBytes(t *testing.T) {
	value := func(b byte) []byte { return bytes.Repeat([]byte{b}, 200) }
	opts := WriterOptions{LargeValueBytes: 100, Compression: segfile.NoCompression}
	one := newModel(0, []Entry{put("a", value('a')), put("b", value('b'))})
	two := newModel(2, []Entry{put("a", value('c')), put("b", value('d'))})
	file, _ := one.build(t, opts)
	other, _ := two.build(t, opts)
	const blockLen = 200 + segfile.BlockOverhead

	swapped := slices.Clone(file)
	copy(swapped, file[blockLen:2*blockLen])
	copy(swapped[blockLen:], file[:blockLen])
	foreign := slices.Clone(file)
	copy(foreign, other[:blockLen])
	for name, damaged := range map[string][]byte{"swapped": swapped, "foreign": foreign} {
		table := open(t, damaged, Options{})
		if e, _, err := table.Get([]byte("a"), 1); !isCorrupt(err) {
			t.Errorf("%s: %.10q, %v", name, e.Value, err)
		}
		if err := table.Verify(t.Context(), nil); !isCorrupt(err) {
			t.Errorf("%s: Verify: %v", name, err)
		}
	}
}

// TestVerifyFindsWrongContent writes well what is wrong: all checksums hold.
func TestVerifyFindsWrongContent(t *testing.T) {
	for name, spoil := range map[string]func(w *Writer){
		"leaf":        func(w *Writer) { w.spill.tile[3*merkle.HashSize] ^= 1 },
		"wrong key":   func(w *Writer) { clear(w.filter.hashes) },
		"seq index":   func(w *Writer) { b := w.spill.buckets[0].buf; swap(b[8:12], b[14:18]) },
		"first time":  func(w *Writer) { w.props.FirstTime++ },
		"last time":   func(w *Writer) { w.props.LastTime++ },
		"keys":        func(w *Writer) { w.props.keys-- },
		"blocks":      func(w *Writer) { w.props.blocks++ },
		"key bytes":   func(w *Writer) { w.props.keyBytes++ },
		"value bytes": func(w *Writer) { w.props.valueBytes-- },
		"max key":     func(w *Writer) { w.lastKey = []byte("k/twp") },
		"min key":     func(w *Writer) { w.props.MinKey = []byte{} },
		"segments":    func(w *Writer) { w.props.segments++ },
		"out of seqs": func(w *Writer) { binary.LittleEndian.PutUint32(w.spill.buckets[0].buf[2:], 99) },
		"ordinals":    func(w *Writer) { w.index.records[indexRecordLen+12]++ },
		"separator":   func(w *Writer) { w.index.separators[len(w.index.separators)-1]++ },
		"offset":      func(w *Writer) { w.index.records[indexRecordLen]++ },
		"partition":   func(w *Writer) { w.top.records[8+3]++ },
		"data's end":  func(w *Writer) { w.top.records[0]++ },
	} {
		t.Run(name, func(t *testing.T) {
			m := smallModel()
			var buf bytes.Buffer
			w, err := NewWriter(&buf, m.first, m.last(), smallOptions)
			if err != nil {
				t.Fatal(err)
			}
			for i := range m.entries {
				if err := w.Add(&m.entries[i]); err != nil {
					t.Fatal(err)
				}
			}
			spoil(w)
			if _, err := w.Finish(); err != nil {
				t.Fatal(err)
			}
			table, err := Open(segfile.NewBytesSource("spoiled", buf.Bytes()), Options{})
			if err == nil {
				err = table.Verify(t.Context(), nil)
			}
			if !isCorrupt(err) {
				t.Fatalf("not found: %v", err)
			}
			t.Log(err)
		})
	}
}

func swap(a, b []byte) {
	c := bytes.Clone(a)
	copy(a, b)
	copy(b, c)
}

func TestVerifyChecksLeavesWithTheCallersHash(t *testing.T) {
	m := smallModel()
	file, _ := m.build(t, smallOptions)
	table := open(t, file, Options{})
	seen := 0
	err := table.Verify(t.Context(), func(e *Entry) merkle.Hash {
		large := e.ValueSize > uint64(smallOptions.LargeValueBytes)
		if err := same(e, &m.entries[seen], large, false); err != nil || e.ValueHash != m.entries[seen].ValueHash {
			t.Fatal(err, e.ValueHash)
		}
		seen++
		return e.LeafHash()
	})
	if err != nil || seen != len(m.entries) {
		t.Fatalf("%d entries: %v", seen, err)
	}
	if err := table.Verify(t.Context(), func(*Entry) merkle.Hash { return merkle.Hash{1} }); !isCorrupt(err) {
		t.Fatalf("other leaves: %v", err)
	}
}
