package ledger

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
)

// TestOpenValue reads values by range from memory and from a segment, where one that is open keeps its segment from going,
// even when the ledger is closed.
func TestOpenValue(t *testing.T) {
	r := newReplica(t, nil)
	large := make([]byte, 3*segfile.PieceBytes+99)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(large)
	values := [][]byte{large, []byte("small"), {}}
	for i, v := range values {
		mustApply(t, r.l, uint64(i+1), putCommand(t, string(rune('a'+i)), v))
	}
	var open []Value
	check := func(where string) {
		t.Helper()
		for i, want := range values {
			v, err := r.l.OpenValue(uint64(i))
			if err != nil {
				t.Fatalf("%s: value %d: %v", where, i, err)
			}
			open = append(open, v)
			got, err := io.ReadAll(io.NewSectionReader(v, 0, 1<<30))
			if err != nil || !bytes.Equal(got, want) || v.Size() != uint64(len(want)) || v.Hash() != sha256.Sum256(want) {
				t.Errorf("%s: value %d: %d bytes, size %d, %v", where, i, len(got), v.Size(), err)
			}
			if _, err := v.ReadAt(make([]byte, 1), int64(len(want))); err != io.EOF {
				t.Errorf("%s: value %d, behind its end: %v", where, i, err)
			}
		}
		if _, err := r.l.OpenValue(r.l.NextSeq()); !errors.Is(err, ErrVersionNotFound) {
			t.Errorf("%s: a value beyond the end: %v", where, err)
		}
	}
	check("in memory")
	mustApply(t, r.l, 4, SealNow())
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	index := uint64(5)
	for _, w := range r.l.Wanted(r.l.opts.Now()) {
		mustApply(t, r.l, index, w.Data)
		index++
	}
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	if through, _ := r.l.Installed(); through != 3 {
		t.Fatalf("%d entries in segments", through)
	}
	check("in a segment")

	stored := open[3]
	if err := r.l.Close(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	if n, err := stored.ReadAt(got, segfile.PieceBytes-50); n != 100 || err != nil ||
		!bytes.Equal(got, large[segfile.PieceBytes-50:][:100]) {
		t.Errorf("after the ledger was closed: %d bytes, %v", n, err)
	}
	table := stored.(*storedValue).t
	for _, v := range open {
		if err := errors.Join(v.Close(), v.Close()); err != nil {
			t.Error(err)
		}
	}
	if refs := table.refs.Load(); refs != 0 {
		t.Errorf("%d references are left", refs)
	}
	if _, err := r.l.OpenValue(0); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed ledger: %v", err)
	}
}
