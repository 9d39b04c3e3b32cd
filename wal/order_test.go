package wal

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

func TestRefusals(t *testing.T) {
	l := open(t, vfs.NewMem(), ByPwrite)
	defer l.Close()
	hs := raft.HardState{Term: 5, Vote: 2}
	mustAppend(t, l, &hs, run(1, 10, 5, 600))
	if err := l.Trim(4); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		hs      *raft.HardState
		entries []raft.Entry
	}{
		"gap":              {nil, run(12, 1, 5, 10)},
		"index zero":       {nil, run(0, 1, 5, 10)},
		"largest index":    {nil, run(math.MaxUint64, 1, 5, 10)},
		"gap inside":       {nil, []raft.Entry{entry(11, 5, ""), entry(13, 5, "")}},
		"term back":        {nil, run(11, 1, 4, 10)},
		"term back inside": {nil, []raft.Entry{entry(11, 6, ""), entry(12, 5, "")}},
		"hard term back":   {&raft.HardState{Term: 4, Vote: 2}, nil},
		"second vote":      {&raft.HardState{Term: 5, Vote: 3}, nil},
		"vote forgotten":   {&raft.HardState{Term: 5}, nil},
	} {
		if err := l.Append(c.hs, c.entries); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: %v, want ErrOrder", name, err)
		}
	}
	if l.Err() != nil || l.LastIndex() != 10 || l.HardState() != hs {
		t.Fatalf("a refused batch changed the log: %v, %d, %+v", l.Err(), l.LastIndex(), l.HardState())
	}
	if err := l.Append(nil, nil); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, &hs, run(11, 1, 5, 10))
}

func TestTrimmedIndexIsRefused(t *testing.T) {
	l := open(t, vfs.NewMem(), ByPwrite)
	defer l.Close()
	for i := uint64(1); i <= 20; i++ {
		mustAppend(t, l, nil, run(i, 1, 1, 1000))
	}
	if err := l.Trim(10); err != nil {
		t.Fatal(err)
	}
	first := l.FirstIndex()
	if first == 1 || first > 11 {
		t.Fatalf("log begins at %d after Trim(10)", first)
	}
	if err := l.Append(nil, run(first-1, 1, 2, 10)); !errors.Is(err, ErrOrder) {
		t.Fatalf("append below the beginning: %v", err)
	}
	if _, err := l.Entries(first-1, first+1, 100); !errors.Is(err, raft.ErrCompacted) {
		t.Fatalf("read below the beginning: %v", err)
	}
	if _, err := l.Entries(first, 22, 100); !errors.Is(err, raft.ErrUnavailable) {
		t.Fatalf("read beyond the end: %v", err)
	}
	if got, err := l.Entries(first, first, 100); err != nil || len(got) != 0 {
		t.Fatalf("read of nothing: %v, %v", got, err)
	}
}

// TestMethodsWriteTheSame compares the two ways of appending byte for byte, after every step.
func TestMethodsWriteTheSame(t *testing.T) {
	a, b := vfs.NewMem(), vfs.NewMem()
	la, lb := open(t, a, ByPwrite), open(t, b, ByStores)
	defer la.Close()
	defer lb.Close()
	for i := range 60 {
		index := uint64(i/3*2 + 1)
		batch := run(index, i%3+2, uint64(i+1), i*29)
		mustAppend(t, la, &raft.HardState{Term: uint64(i + 1)}, batch)
		mustAppend(t, lb, &raft.HardState{Term: uint64(i + 1)}, batch)
		if i%10 == 9 {
			for _, l := range []*Log{la, lb} {
				if err := l.Trim(index); err != nil {
					t.Fatal(err)
				}
			}
		}
		an, _ := a.List(testDir)
		bn, _ := b.List(testDir)
		if len(an) != len(bn) {
			t.Fatalf("step %d: files %v and %v", i, an, bn)
		}
		for j, name := range an {
			x, errX := vfs.ReadFile(a, testDir+"/"+name, 1<<20)
			y, errY := vfs.ReadFile(b, testDir+"/"+bn[j], 1<<20)
			if errX != nil || errY != nil || name != bn[j] || !bytes.Equal(x, y) {
				t.Fatalf("step %d: %s and %s differ (%v, %v)", i, name, bn[j], errX, errY)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	fs := vfs.NewMem()
	for _, o := range []Options{
		{}, {FS: fs}, {Dir: "x"}, {FS: fs, Dir: "x", FileBytes: 100}, {FS: fs, Dir: "x", FileBytes: 1 << 40},
		{FS: fs, Dir: "x", FileBytes: -1}, {FS: fs, Dir: "x", Method: 9},
	} {
		if _, err := Open(o); err == nil {
			t.Errorf("Open accepted %+v", o)
		}
	}
}

// TestManyReaders runs readers and Trim beside an appender that also truncates; the race detector watches.
func TestManyReaders(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		l := open(t, vfs.NewMem(), m)
		defer l.Close()
		done := make(chan struct{})
		errs := make(chan error, 3)
		for range 2 {
			go func() {
				for {
					got, err := all(l)
					if err != nil && !errors.Is(err, raft.ErrCompacted) && !errors.Is(err, raft.ErrUnavailable) {
						errs <- err
						return
					}
					for i, e := range got {
						if want := run(e.Index, 1, e.Term, 700)[0]; string(e.Data) != string(want.Data) ||
							i > 0 && (e.Index != got[i-1].Index+1 || e.Term < got[i-1].Term) {
							errs <- errors.New("entries do not fit together")
							return
						}
					}
					select {
					case <-done:
						errs <- nil
						return
					default:
					}
				}
			}()
		}
		go func() {
			for {
				if err := l.Trim(max(l.LastIndex(), 8) - 8); err != nil {
					errs <- err
					return
				}
				select {
				case <-done:
					errs <- l.Prepare()
					return
				default:
				}
			}
		}()
		for i := range 300 {
			index := l.LastIndex() + 1
			if i%7 == 6 {
				index -= 3
			}
			mustAppend(t, l, nil, run(index, 2, uint64(i+1), 700))
		}
		close(done)
		for range 3 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}
