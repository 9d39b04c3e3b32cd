package wal

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const testDir = "data/wal"

// testOwner is whose logs the tests write.
var testOwner = Owner{Cluster: raft.ClusterID{0: 0xc1, 15: 0x5c}, Node: 7}

// open opens a small log in fs and fails the test when it cannot.
func open(t testing.TB, fs vfs.FS, m AppendMethod) *Log {
	t.Helper()
	l, err := Open(Options{FS: fs, Dir: testDir, Owner: testOwner, FileBytes: 4096, Method: m})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l
}

func entry(index, term uint64, data string) raft.Entry {
	return raft.Entry{Index: index, Term: term, Kind: raft.EntryNormal, Data: []byte(data)}
}

// run makes entries from first on, with contents that tell them apart.
func run(first uint64, n int, term uint64, size int) []raft.Entry {
	entries := make([]raft.Entry, n)
	for i := range entries {
		index := first + uint64(i)
		data := fmt.Sprintf("entry %d of term %d ", index, term)
		if len(data) < size {
			data += strings.Repeat("x", size-len(data))
		}
		entries[i] = entry(index, term, data[:size])
	}
	return entries
}

func mustAppend(t testing.TB, l *Log, hs *raft.HardState, entries []raft.Entry) {
	t.Helper()
	if err := l.Append(hs, entries); err != nil {
		t.Fatalf("append: %v", err)
	}
}

// all returns what a log holds.
func all(l *Log) ([]raft.Entry, error) {
	return l.Entries(l.FirstIndex(), l.LastIndex()+1, 1<<40)
}

// sameEntries says how two runs of entries differ.
func sameEntries(got, want []raft.Entry) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d entries, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Index != w.Index || g.Term != w.Term || g.Kind != w.Kind || string(g.Data) != string(w.Data) {
			return fmt.Errorf("entry %d.%d kind %d %q, want %d.%d kind %d %q",
				g.Index, g.Term, g.Kind, g.Data, w.Index, w.Term, w.Kind, w.Data)
		}
	}
	return nil
}

func methods(t *testing.T, test func(*testing.T, AppendMethod)) {
	for _, m := range []AppendMethod{ByPwrite, ByStores} {
		t.Run(m.String(), func(t *testing.T) {
			t.Parallel()
			test(t, m)
		})
	}
}

func TestAppendReadReopen(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		for name, fs := range map[string]vfs.FS{"mem": vfs.NewMem(), "os": vfs.NewOS()} {
			t.Run(name, func(t *testing.T) {
				dir := testDir
				if name == "os" {
					dir = t.TempDir() + "/wal"
				}
				reopen := func() *Log {
					l, err := Open(Options{FS: fs, Dir: dir, FileBytes: 4096, Method: m})
					if err != nil {
						t.Fatal(err)
					}
					return l
				}
				l := reopen()
				if l.FirstIndex() != 1 || l.LastIndex() != 0 || l.HardState() != (raft.HardState{}) {
					t.Fatalf("a new log holds %d to %d, %+v", l.FirstIndex(), l.LastIndex(), l.HardState())
				}
				hs := raft.HardState{Term: 3, Vote: 7, Commit: 1}
				var want []raft.Entry
				for i := range 40 {
					e := run(uint64(len(want)+1), i%4+1, 3, i*17)
					mustAppend(t, l, &hs, e)
					want = append(want, e...)
				}
				for range 3 {
					got, err := all(l)
					if err == nil {
						err = sameEntries(got, want)
					}
					if err != nil {
						t.Fatal(err)
					}
					if l.HardState() != hs {
						t.Fatalf("hard state %+v", l.HardState())
					}
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					l = reopen()
				}
				l.Close()
				if _, err := l.Entries(1, 2, 1); !errors.Is(err, ErrClosed) {
					t.Fatalf("read after close: %v", err)
				}
			})
		}
	})
}
