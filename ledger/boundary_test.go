package ledger

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/tlog"
)

// TestEveryBoundary reads at every seq of a ledger of several segments, sealed memtables and an active one: what a range
// repeats or misses, it repeats or misses where one of them ends and the next begins.
func TestEveryBoundary(t *testing.T) {
	r := newReplica(t, nil)
	l, index := r.l, uint64(0)
	apply := func(data []byte) {
		index++
		mustApply(t, l, index, data)
	}
	for part := range 6 {
		for i := range 3 + part {
			apply(putCommand(t, fmt.Sprintf("k%d", i%4), valueOf(index, 10)))
		}
		if part == 5 {
			break
		}
		apply(SealNow())
		for range 3 * min(1, 3-part) { // the first ones come into segments
			if err := flushAll(l); err != nil {
				t.Fatal(err)
			}
			for _, d := range l.BuiltRoots() {
				apply(RecordWant(d).Data)
			}
		}
	}
	if n := len(l.Manifest().Segments); n != 3 {
		t.Fatalf("%d segments are installed, not 3", n)
	}
	var all []Entry
	it, err := l.Entries(0, false)
	for _, e := range drained(t, it, err) {
		all = append(all, *e)
	}
	if uint64(len(all)) != l.NextSeq() {
		t.Fatalf("%d entries of %d", len(all), l.NextSeq())
	}
	for seq := uint64(0); seq <= uint64(len(all)); seq++ {
		it, err := l.Entries(seq, true)
		if got := drained(t, it, err); len(got) != len(all)-int(seq) || len(got) > 0 && got[0].Seq != seq {
			t.Fatalf("from %d on there are %d entries of %d", seq, len(got), len(all))
		}
		checkVersionsAt(t, l, all, seq)
		checkScansAt(t, l, all, seq)
	}
}

// checkVersionsAt looks for each key in the first seq entries.
func checkVersionsAt(t *testing.T, l *Ledger, all []Entry, seq uint64) {
	for k := range 4 {
		key := fmt.Appendf(nil, "k%d", k)
		var want []uint64
		for i := int(seq) - 1; i >= 0; i-- {
			if all[i].Op != tlog.OpSegment && bytes.Equal(all[i].Key, key) {
				want = append(want, uint64(i))
			}
		}
		it, err := l.History(key, seq, false)
		if got := seqsOf(drained(t, it, err)); !slices.Equal(got, want) {
			t.Fatalf("history of %s before %d is %d, not %d", key, seq, got, want)
		}
		if seq == 0 {
			continue
		}
		e, err := l.Get(key, Selector{Kind: AsOfSeq, Seq: seq - 1})
		if len(want) > 0 && (err != nil || e.Seq != want[0]) || len(want) == 0 && err == nil {
			t.Fatalf("%s as of %d is %v, %v, not entry %d", key, seq-1, e, err, want)
		}
	}
}

// checkScansAt walks all keys as of a seq, both ways.
func checkScansAt(t *testing.T, l *Ledger, all []Entry, seq uint64) {
	var want []uint64
	for k := range 4 {
		for i := int(min(seq, uint64(len(all)-1))); i >= 0; i-- {
			if string(all[i].Key) == fmt.Sprintf("k%d", k) {
				want = append(want, uint64(i))
				break
			}
		}
	}
	for _, reverse := range []bool{false, true} {
		it, err := l.Scan(ScanOptions{AsOf: seq, Reverse: reverse})
		if got := seqsOf(drained(t, it, err)); !slices.Equal(got, want) {
			t.Fatalf("a scan as of %d, reverse %v, gives %d, not %d", seq, reverse, got, want)
		}
		slices.Reverse(want)
	}
	for k := range 4 { // from and to each key, which is the first or the last of some part
		key := fmt.Appendf(nil, "k%d", k)
		it, err := l.Scan(ScanOptions{Start: key, AsOf: seq})
		from := len(drained(t, it, err))
		it, err = l.Scan(ScanOptions{End: key, AsOf: seq, Reverse: true})
		if to := len(drained(t, it, err)); from+to != len(want) {
			t.Fatalf("as of %d there are %d keys up to %s and %d from it on, of %d", seq, to, key, from, len(want))
		}
	}
}

func seqsOf(entries []*Entry) (out []uint64) {
	for _, e := range entries {
		out = append(out, e.Seq)
	}
	return out
}

// drained reads an iterator to its end.
func drained(t *testing.T, it Iterator, err error) (out []*Entry) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for it.Next() {
		e := *it.Entry()
		e.Key, e.Value = bytes.Clone(e.Key), bytes.Clone(e.Value)
		out = append(out, &e)
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSeekToTheKeyItStandsOn, or backwards to the one before it: the key is the iterator's own memory, and more than one source is sent there.
func TestSeekToTheKeyItStandsOn(t *testing.T) {
	r := newReplica(t, nil)
	index := uint64(0)
	apply := func(command []byte) {
		t.Helper()
		index++
		mustApply(t, r.l, index, command)
	}
	for _, keys := range []string{"bc", "ad"} {
		for _, k := range keys {
			apply(putCommand(t, string(k), []byte{byte(k)}))
		}
		apply(SealNow())
		for range 3 {
			if err := flushAll(r.l); err != nil {
				t.Fatal(err)
			}
			for _, d := range r.l.BuiltRoots() {
				apply(RecordWant(d).Data)
			}
		}
	}
	for _, reverse := range []bool{false, true} {
		it, err := r.l.Keys(ScanOptions{Reverse: reverse, AsOf: ^uint64(0)})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for ok := it.Next() && it.Seek(it.Entry().Key); ok; ok = it.Next() {
			got += string(it.Entry().Key)
		}
		if want := map[bool]string{false: "abcd", true: "cba"}[reverse]; got != want || it.Err() != nil {
			t.Errorf("reverse %v: %q, want %q: %v", reverse, got, want, it.Err())
		}
		it.Close()
	}
}
