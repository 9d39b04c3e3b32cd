package wal

import (
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestNotesAcrossPages: a note that stands across a page's end is durable as a whole with the batch behind it. By stores,
// a sync that begins behind the note leaves its first half to chance, and the log then looks damaged.
func TestNotesAcrossPages(t *testing.T) {
	const page = 4096
	for _, method := range []AppendMethod{ByPwrite, ByStores} {
		for at := page - noteSize - 2*align; at <= page+2*align; at += align { // where the note begins
			mem := vfs.NewMem()
			opts := Options{FS: mem, Dir: testDir, FileBytes: 4 * page, Method: method}
			l, err := Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			// The first batch is an entry and its marker, and ends where the note is to begin.
			size := at - headerSize - int(entrySize(0)) - markerSize
			var m model
			for i, n := range []int{size, 10, 700} {
				entries := []raft.Entry{{Index: uint64(i) + 1, Term: 1, Kind: raft.EntryNormal, Data: make([]byte, n)}}
				if err := l.Append(nil, entries); err != nil {
					t.Fatal(err)
				}
				if i == 0 && l.active().good != int64(at) {
					t.Fatalf("the note begins at %d, not at %d", l.active().good, at)
				}
				m.append(nil, entries)
				for _, s := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom} {
					name := fmt.Sprintf("%v, note at %d, power cut behind batch %d, keep %d", method, at, i+1, s)
					left := opts
					left.FS = mem.CrashClone(vfs.CrashOptions{Keep: s})
					again, err := Open(left)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if err := m.check(again); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if err := again.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
