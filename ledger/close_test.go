package ledger

import (
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestReadersKeepSegments: on a real file system, where what is closed cannot be read, readers of an older view go on while
// views take each other's place, and when they let go of theirs, the newer ones go on.
func TestReadersKeepSegments(t *testing.T) {
	o := testOptions(vfs.NewOS())
	o.Dir = t.TempDir()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const rounds, keys = 6, 40
	index := uint64(0)
	apply := func(data []byte) {
		index++
		mustApply(t, l, index, data)
	}
	var older []Iterator // one of each view
	for round := range rounds {
		for k := range keys {
			apply(putCommand(t, fmt.Sprintf("k/%02d", k), valueOf(uint64(round), 100)))
		}
		apply(SealNow())
		for range 3 { // built, recorded, installed
			if err := flushAll(l); err != nil {
				t.Fatal(err)
			}
			it, err := l.Scan(ScanOptions{AsOf: ^uint64(0)})
			if err != nil {
				t.Fatal(err)
			}
			older = append(older, it)
			for _, d := range l.BuiltRoots() {
				apply(RecordWant(d).Data)
			}
		}
	}
	if n := len(l.Manifest().Segments); n != rounds {
		t.Fatalf("%d segments are installed, not %d", n, rounds)
	}
	read := func(what string, it Iterator, err error, want int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for it.Next() {
			n++
		}
		if err := it.Err(); err != nil || n != want {
			t.Fatalf("%s gives %d of %d entries: %v", what, n, want, err)
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, it := range older {
		read(fmt.Sprintf("the scan of view %d", i), it, nil, keys)
		it, err := l.History([]byte("k/00"), ^uint64(0), true)
		read(fmt.Sprintf("a history behind the end of view %d", i), it, err, rounds)
	}
	it, err := l.Entries(0, false)
	read("the walk over all entries", it, err, int(l.NextSeq()))
}
