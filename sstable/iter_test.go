package sstable

import (
	"bytes"
	"math"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/tlog"
)

func drawIterOptions(t *rapid.T, m *model) IterOptions {
	opts := IterOptions{
		KeysOnly: rapid.Bool().Draw(t, "keysOnly"),
		Newest:   rapid.Bool().Draw(t, "newest"),
		Leaves:   rapid.Bool().Draw(t, "leaves"),
		NoFill:   rapid.Bool().Draw(t, "noFill"),
		Reuse:    rapid.Bool().Draw(t, "reuse"),
	}
	opts.AsOf = rapid.OneOf(rapid.Just(uint64(math.MaxUint64)), rapid.Uint64Range(m.first, m.last())).Draw(t, "asOf")
	bound := rapid.OneOf(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 0xff}), 0, 4),
		rapid.Map(rapid.SampledFrom(m.entries), func(e Entry) []byte { return e.Key }))
	if rapid.Bool().Draw(t, "lower") {
		opts.Lower = bound.Draw(t, "lowerKey")
	}
	if rapid.Bool().Draw(t, "upper") {
		opts.Upper = bound.Draw(t, "upperKey")
	}
	return opts
}

// TestIterWalks moves an iterator about at random beside a place in the model's slice.
func TestIterWalks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, table := drawTable(rt, t)
		opts := drawIterOptions(rt, m)
		want := m.scan(opts)
		it := table.Iter(opts)
		at := -1 // nowhere
		check := func(move string, ok bool) {
			if at >= len(want) {
				at = -1
			}
			if it.Err() != nil || ok != (at >= 0) {
				rt.Fatalf("%s: %v (%v), want place %d of %d", move, ok, it.Err(), at, len(want))
			}
			if !ok {
				return
			}
			if err := same(it.Entry(), &want[at], opts.KeysOnly, opts.Leaves); err != nil {
				rt.Fatalf("%s: %v", move, err)
			}
			if got := m.bySeq[want[at].Seq-m.first]; it.Ordinal() != uint64(got) {
				rt.Fatalf("%s: ordinal %d, want %d", move, it.Ordinal(), got)
			}
			if v, err := it.Value(); err != nil || !bytes.Equal(v, want[at].Value) {
				rt.Fatalf("%s: value %.20q, %v", move, v, err)
			}
		}
		for it.Next() {
			at++
			check("first pass", true)
		}
		at++
		if at != len(want) {
			rt.Fatalf("first pass ended after %d of %d: %v", at, len(want), it.Err())
		}
		at = -1
		for range 60 {
			key := rapid.SampledFrom(m.entries).Draw(rt, "near").Key
			if rapid.Bool().Draw(rt, "behind") {
				key = append(key[:len(key):len(key)], 0)
			}
			moves := []string{"First", "Last", "Next", "Prev", "Next", "Prev", "SeekGE", "SeekLT"}
			switch move := rapid.SampledFrom(moves).Draw(rt, "move"); move {
			case "First":
				at = 0
				check(move, it.First())
			case "Last":
				at = len(want) - 1
				check(move, it.Last())
			case "Next":
				at++
				check(move, it.Next())
			case "Prev":
				if at < 0 {
					at = len(want)
				}
				at--
				check(move, it.Prev())
			case "SeekGE":
				at = sort.Search(len(want), func(i int) bool { return bytes.Compare(want[i].Key, key) >= 0 })
				check(move, it.SeekGE(key))
			case "SeekLT":
				at = sort.Search(len(want), func(i int) bool { return bytes.Compare(want[i].Key, key) >= 0 }) - 1
				check(move, it.SeekLT(key))
			}
		}
		if err := it.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestVersions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, table := drawTable(rt, t)
		key := rapid.SampledFrom(m.entries).Draw(rt, "entry").Key
		if rapid.IntRange(0, 4).Draw(rt, "absent") == 0 {
			key = []byte("no such key")
		}
		maxSeq := rapid.Uint64Range(m.first, m.last()).Draw(rt, "maxSeq")
		it := table.Versions(key, maxSeq, false)
		for i := range m.entries {
			want := &m.entries[i]
			if want.Op == tlog.OpSegment || !bytes.Equal(want.Key, key) || want.Seq > maxSeq {
				continue
			}
			if !it.Next() {
				rt.Fatalf("ends before entry %d: %v", want.Seq, it.Err())
			}
			if err := same(it.Entry(), want, false, false); err != nil {
				rt.Fatal(err)
			}
		}
		if it.Next() || it.Err() != nil {
			rt.Fatalf("entry %d behind the last: %v", it.Entry().Seq, it.Err())
		}
	})
}

func TestScans(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, table := drawTable(rt, t)
		keysOnly := rapid.Bool().Draw(rt, "keysOnly")
		from := rapid.IntRange(0, len(m.entries)).Draw(rt, "from")
		reuse := rapid.Bool().Draw(rt, "reuse")
		it := table.BySeq(ScanOptions{From: m.first + uint64(from), KeysOnly: keysOnly, Leaves: true, Reuse: reuse})
		for _, ordinal := range m.bySeq[from:] {
			if !it.Next() {
				rt.Fatalf("by seq: ends early: %v", it.Err())
			}
			if err := same(it.Entry(), &m.entries[ordinal], keysOnly, true); err != nil {
				rt.Fatalf("by seq: %v", err)
			}
		}
		if it.Next() || it.Err() != nil {
			rt.Fatal("by seq: one too many", it.Err())
		}
		it = table.ByOrdinal(ScanOptions{From: uint64(from), KeysOnly: keysOnly, NoFill: true, Reuse: reuse})
		for i := range m.entries[from:] {
			if !it.Next() {
				rt.Fatalf("by ordinal: ends early: %v", it.Err())
			}
			if err := same(it.Entry(), &m.entries[from+i], keysOnly, false); err != nil {
				rt.Fatalf("by ordinal: %v", err)
			}
		}
		if it.Next() || it.Err() != nil {
			rt.Fatal("by ordinal: one too many", it.Err())
		}
	})
}

// TestKeysOnlyReadsNoLargeValue puts damage where the values are: a walk over keys does not meet it.
func TestKeysOnlyReadsNoLargeValue(t *testing.T) {
	m := newModel(0, []Entry{put("a", bytes.Repeat([]byte("x"), 100<<10)), put("b", []byte("small"))})
	file, _ := m.build(t, WriterOptions{})
	file[20] ^= 1 // the first block is the first large value
	table := open(t, file, Options{})
	it := table.Iter(IterOptions{KeysOnly: true})
	for range 2 {
		if !it.Next() {
			t.Fatal(it.Err())
		}
	}
	it = table.Iter(IterOptions{})
	if it.Next() || !isCorrupt(it.Err()) {
		t.Fatalf("the damaged value was read: %v", it.Err())
	}
	if it.Next() {
		t.Fatal("the walk goes on behind an error")
	}
	if _, _, err := table.Get([]byte("a"), 0); !isCorrupt(err) {
		t.Fatalf("Get of the damaged value: %v", err)
	}
}
