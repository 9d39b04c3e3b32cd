package sstable

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// model is a segment as a sorted slice: what every answer of a Table is held against.
type model struct {
	first   uint64
	entries []Entry // in segment order
	bySeq   []int   // ordinals
	nodes   []merkle.Hash
}

// newModel takes entries in seq order and fills in seq, hashes and order.
func newModel(first uint64, entries []Entry) *model {
	m := &model{first: first, entries: entries, bySeq: make([]int, len(entries))}
	for i := range entries {
		e := &entries[i]
		e.Seq = first + uint64(i)
		e.ValueSize = uint64(len(e.Value))
		e.ValueHash = sha256.Sum256(e.Value)
		e.Leaf = e.LeafHash()
	}
	sort.Slice(entries, func(i, j int) bool {
		a, b := &entries[i], &entries[j]
		if sa, sb := a.Op == tlog.OpSegment, b.Op == tlog.OpSegment; sa || sb {
			return sa && !sb || sa && a.Seq < b.Seq
		}
		return compare(a.Key, a.Seq, b.Key, b.Seq) < 0
	})
	for i := range entries {
		m.bySeq[entries[i].Seq-first] = i
	}
	return m
}

func put(key string, value []byte) Entry {
	return Entry{Record: tlog.Record{Op: tlog.OpPut, Time: 1_700_000_000_000_000, Key: []byte(key)}, Value: value}
}

func del(key string) Entry {
	return Entry{Record: tlog.Record{Op: tlog.OpDelete, Time: 1_700_000_000_000_000, Key: []byte(key)}}
}

func segmentEntry(first, last uint64) Entry {
	d := tlog.Descriptor{FirstSeq: first, LastSeq: last, Entries: last - first + 1}
	e := put(d.ID(), d.Append(nil))
	e.Op = tlog.OpSegment
	return e
}

// drawModel makes a segment with every kind of entry that the format treats in its own way.
func drawModel(t *rapid.T) *model {
	deep := bytes.Repeat([]byte("deep/"), 819)
	keys := rapid.SliceOfN(rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 1, 6),
		rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 0xff}), 1, 5),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 1), func(b []byte) []byte { return append(slices.Clip(deep), b...) }),
	), 1, 25).Draw(t, "keys")
	value := rapid.OneOf(
		rapid.Just([]byte{}),
		rapid.SliceOfN(rapid.Byte(), 1, 40),
		rapid.Map(rapid.IntRange(100, 3000), func(n int) []byte { return bytes.Repeat([]byte("scribe"), n/6) }),
	)
	onlySegments := rapid.IntRange(0, 15).Draw(t, "onlySegments") == 0
	n := rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(1, 60), rapid.IntRange(1, 60),
		rapid.IntRange(250, 290)).Draw(t, "n")
	entries := make([]Entry, n)
	now := rapid.Int64Range(-5, 1<<50).Draw(t, "time")
	for i := range entries {
		kind := rapid.IntRange(0, 9).Draw(t, "kind")
		key := string(rapid.SampledFrom(keys).Draw(t, "key"))
		switch {
		case kind == 0 || onlySegments:
			entries[i] = segmentEntry(uint64(i), uint64(i)+uint64(kind))
		case kind == 1:
			entries[i] = del(key)
		default:
			entries[i] = put(key, value.Draw(t, "value"))
			entries[i].ContentType = rapid.SampledFrom([]string{"", "text/plain", "image/png"}).Draw(t, "type")
		}
		if kind == 2 && !onlySegments {
			entries[i].Principal = "someone"
		}
		now += int64(kind)
		entries[i].Time = now
	}
	m := newModel(rapid.Uint64Range(0, 1<<60).Draw(t, "first"), entries)
	for range rapid.IntRange(0, 3).Draw(t, "nodes") {
		m.nodes = append(m.nodes, merkle.LeafHash([]byte{byte(len(m.nodes))}))
	}
	return m
}

func (m *model) last() uint64 { return m.first + uint64(len(m.entries)) - 1 }

// build writes the model's segment.
func (m *model) build(t testing.TB, opts WriterOptions) ([]byte, Info) {
	t.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, m.first, m.last(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.entries {
		if err := w.Add(&m.entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	w.SetLedgerNodes(m.nodes)
	info, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), info
}

func open(t testing.TB, file []byte, opts Options) *Table {
	t.Helper()
	table, err := Open(segfile.NewBytesSource("test.seg", file), opts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// get is Table.Get of the model: the ordinal of the answer, or where it would stand.
func (m *model) get(key []byte, maxSeq uint64) (ordinal int, found bool) {
	for i := range m.entries {
		e := &m.entries[i]
		if e.Op != tlog.OpSegment && compare(e.Key, e.Seq, key, maxSeq) >= 0 {
			return i, bytes.Equal(e.Key, key)
		}
	}
	return len(m.entries), false
}

// scan is what an Iter with opts shows, forwards.
func (m *model) scan(opts IterOptions) []Entry {
	var out []Entry
	for i := range m.entries {
		e := m.entries[i]
		if e.Op == tlog.OpSegment || bytes.Compare(e.Key, opts.Lower) < 0 ||
			opts.Upper != nil && bytes.Compare(e.Key, opts.Upper) >= 0 {
			continue
		}
		if opts.Newest {
			if n := len(out); e.Seq > opts.AsOf || n > 0 && bytes.Equal(out[n-1].Key, e.Key) {
				continue
			}
		}
		out = append(out, e)
	}
	return out
}

// same says how a table's answer differs from the model's entry.
func same(got, want *Entry, keysOnly, leaf bool) error {
	switch {
	case got.Op != want.Op || got.Seq != want.Seq || got.Time != want.Time || !bytes.Equal(got.Key, want.Key):
		return fmt.Errorf("entry %d %q, want %d %q", got.Seq, got.Key, want.Seq, want.Key)
	case got.ContentType != want.ContentType || got.Principal != want.Principal || got.ValueSize != want.ValueSize:
		return fmt.Errorf("entry %d: %+v, want %+v", got.Seq, got.Record, want.Record)
	case got.ValueHash != (merkle.Hash{}) && got.ValueHash != want.ValueHash:
		return fmt.Errorf("entry %d: value hash %s, want %s", got.Seq, got.ValueHash, want.ValueHash)
	case keysOnly && got.Value != nil:
		return fmt.Errorf("entry %d: has a value of %d bytes", got.Seq, len(got.Value))
	case !keysOnly && (got.Value == nil || !bytes.Equal(got.Value, want.Value)):
		return fmt.Errorf("entry %d: value %.50q, want %.50q", got.Seq, got.Value, want.Value)
	case leaf != (got.Leaf != merkle.Hash{}) || leaf && got.Leaf != want.Leaf:
		return fmt.Errorf("entry %d: leaf %s, want %s", got.Seq, got.Leaf, want.Leaf)
	}
	return nil
}

func isCorrupt(err error) bool {
	var c *vfs.CorruptError
	return errors.As(err, &c)
}
