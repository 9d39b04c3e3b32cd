package wal

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

var errNoSpace = fmt.Errorf("injected: %w", syscall.ENOSPC)

// written makes a log of several files, with a truncated suffix, hard states and trimmed files, and closes it or not.
func written(t testing.TB, m AppendMethod, closed bool) (*vfs.Mem, *model) {
	t.Helper()
	mem := vfs.NewMem()
	l := open(t, mem, m)
	want := &model{}
	add := func(hs *raft.HardState, entries []raft.Entry) {
		mustAppend(t, l, hs, entries)
		want.append(hs, entries)
	}
	add(&raft.HardState{Term: 1, Vote: 1}, nil)
	for i := range uint64(7) {
		add(nil, run(2*i+1, 2, 1, 700))
	}
	add(&raft.HardState{Term: 2, Vote: 3, Commit: 9}, run(12, 2, 2, 500))
	if err := l.Trim(4); err != nil {
		t.Fatal(err)
	}
	want.trimmed = 4
	if l.FirstIndex() == 1 {
		t.Fatal("nothing was trimmed")
	}
	if closed {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return mem, want
}

func crashAll(mem *vfs.Mem) *vfs.Mem { return mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}) }

// openDamaged wants a damaged log to be refused, or to hold everything. Never anything between.
func openDamaged(mem *vfs.Mem, m AppendMethod, want *model) (refused bool, err error) {
	l, err := Open(Options{FS: mem, Dir: testDir, Owner: testOwner, FileBytes: 4096, Method: m})
	var corrupt *vfs.CorruptError
	if errors.As(err, &corrupt) {
		if corrupt.File == "" || corrupt.Reason == "" {
			return true, fmt.Errorf("the error does not say where or what: %+v", corrupt)
		}
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer l.Close()
	return false, want.check(l)
}

func flip(t testing.TB, fs vfs.FS, name string, off int64, mask byte) {
	t.Helper()
	f, err := fs.OpenRW(testDir + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= mask
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func logFiles(t testing.TB, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	var logs []string
	for _, name := range names {
		if _, ok := parseLogName(name); ok {
			logs = append(logs, name)
		}
	}
	return logs
}

// TestFlippedBit flips a bit of every byte of every file.
func TestFlippedBit(t *testing.T) {
	for name, prepare := range map[string]func() (*vfs.Mem, *model){
		"closed": func() (*vfs.Mem, *model) { return written(t, ByPwrite, true) },
		"killed": func() (*vfs.Mem, *model) { return written(t, ByPwrite, false) },
		"crashed and opened": func() (*vfs.Mem, *model) {
			mem, want := written(t, ByPwrite, false)
			mem = mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})
			open(t, mem, ByPwrite) // serves entries from now on, so their loss must be seen
			return mem, want
		},
	} {
		t.Run(name, func(t *testing.T) {
			mem, want := prepare()
			refused := 0
			files := append(logFiles(t, mem), originName)
			if len(files) < 4 {
				t.Fatalf("too few files: %v", files)
			}
			if name != "closed" { // the files before the last are the same
				files = files[len(files)-2:]
			}
			for _, file := range files {
				info, err := mem.Stat(testDir + "/" + file)
				if err != nil {
					t.Fatal(err)
				}
				for off := range info.Size {
					left := crashAll(mem)
					flip(t, left, file, off, 1<<(off*5%8))
					bad, err := openDamaged(left, ByPwrite, want)
					if err != nil {
						t.Fatalf("bit of %s byte %d: %v", file, off, err)
					}
					if bad {
						refused++
					}
				}
			}
			if refused < 1000 {
				t.Fatalf("only %d flips were seen", refused)
			}
		})
	}
}

// TestLostSectors zeroes every sector but those of the last note, which alone proves that the last batch was durable.
func TestLostSectors(t *testing.T) {
	mem, want := written(t, ByPwrite, true)
	files := logFiles(t, mem)
	l := open(t, crashAll(mem), ByPwrite)
	note := l.active().good
	for i, file := range files {
		for off := int64(0); off < 4096; off += 512 {
			if i == len(files)-1 && off+512 > note && off < note+noteSize {
				continue
			}
			left := crashAll(mem)
			f, err := left.OpenRW(testDir + "/" + file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(make([]byte, 512), off); err != nil {
				t.Fatal(err)
			}
			f.Close()
			refused, err := openDamaged(left, ByPwrite, want)
			if err != nil || off == 0 && !refused {
				t.Fatalf("sector at %d of %s: refused %v, %v", off, file, refused, err)
			}
		}
	}
}

func TestMissingAndMisplacedFiles(t *testing.T) {
	mem, want := written(t, ByPwrite, true)
	files := logFiles(t, mem)
	at := func(i int) string { return testDir + "/" + files[i] }
	last := len(files) - 1
	for name, hurt := range map[string]func(*vfs.Mem) error{
		"first removed":  func(m *vfs.Mem) error { return m.Remove(at(0)) },
		"middle removed": func(m *vfs.Mem) error { return m.Remove(at(1)) },
		"all removed": func(m *vfs.Mem) error {
			for i := range files {
				if err := m.Remove(at(i)); err != nil {
					return err
				}
			}
			return nil
		},
		"origin removed":      func(m *vfs.Mem) error { return m.Remove(testDir + "/" + originName) },
		"one in another":      func(m *vfs.Mem) error { return m.Rename(at(0), at(1)) },
		"last renamed beyond": func(m *vfs.Mem) error { return m.Rename(at(last), testDir+"/"+logName(99)) },
		"first cut": func(m *vfs.Mem) error {
			f, err := m.OpenRW(at(0))
			if err != nil {
				return err
			}
			return f.Truncate(4088)
		},
		"last cut": func(m *vfs.Mem) error {
			f, err := m.OpenRW(at(last))
			if err != nil {
				return err
			}
			return f.Truncate(512)
		},
		"last emptied": func(m *vfs.Mem) error {
			f, err := m.OpenRW(at(last))
			if err != nil {
				return err
			}
			return f.Truncate(0)
		},
		"files swapped": func(m *vfs.Mem) error {
			return errors.Join(m.Rename(at(0), "x"), m.Rename(at(1), at(0)), m.Rename("x", at(1)))
		},
	} {
		left := crashAll(mem)
		if err := hurt(left); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		before := logFiles(t, left)
		if refused, err := openDamaged(left, ByPwrite, want); !refused || err != nil {
			t.Errorf("%s: refused %v, %v", name, refused, err)
		}
		if after := logFiles(t, left); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: a refused log was changed from %v to %v", name, before, after)
		}
	}
}

// TestFileOfAnotherLog puts in the place of a file one of the same id and indexes with other entries.
func TestFileOfAnotherLog(t *testing.T) {
	var logs [2]*vfs.Mem
	for i := range logs {
		logs[i] = vfs.NewMem()
		l := open(t, logs[i], ByPwrite)
		for index := uint64(1); index < 20; index++ {
			e := run(index, 1, 1, 700)
			e[0].Kind = raft.EntryKind(i + 1)
			mustAppend(t, l, nil, e)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range logFiles(t, logs[0]) {
		other, err := vfs.ReadFile(logs[1], testDir+"/"+name, 4096)
		if err != nil {
			t.Fatal(err)
		}
		left := crashAll(logs[0])
		if err := vfs.WriteFileAtomic(left, testDir, name, other); err != nil {
			t.Fatal(err)
		}
		if refused, err := openDamaged(left, ByPwrite, &model{}); !refused {
			t.Errorf("%s of another log was accepted (%v)", name, err)
		}
	}
}

// TestDamageUnderAnOpenLog reads entries whose bytes went bad after Open.
func TestDamageUnderAnOpenLog(t *testing.T) {
	mem, want := written(t, ByPwrite, true)
	l := open(t, mem, ByPwrite)
	defer l.Close()
	seen := 0
	for _, file := range logFiles(t, mem) {
		for off := int64(headerSize); off < 4096; off += 3 {
			flip(t, mem, file, off, 0x10)
			got, err := all(l)
			var corrupt *vfs.CorruptError
			if errors.As(err, &corrupt) {
				seen++
				if corrupt.File != testDir+"/"+file {
					t.Fatalf("damage in %s is told of %s", file, corrupt.File)
				}
			} else if err == nil {
				err = sameEntries(got, want.entries[l.FirstIndex()-1:])
				if err != nil {
					t.Fatalf("byte %d of %s: %v", off, file, err)
				}
			} else {
				t.Fatal(err)
			}
			flip(t, mem, file, off, 0x10)
		}
	}
	if seen < 1000 {
		t.Fatalf("only %d flips were seen", seen)
	}
}
