package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// inspected is what Inspect finds in a log, and the live entries that its records come to.
func inspected(t testing.TB, mem *vfs.Mem) (*Inspection, []raft.Entry) {
	t.Helper()
	before := contents(t, mem)
	var entries []raft.Entry
	in, err := Inspect(InspectOptions{FS: mem, Dir: testDir, Visit: func(r *Record) error {
		if r.Type != "entry" || r.Torn {
			return nil
		}
		for len(entries) > 0 && entries[len(entries)-1].Index >= r.Index {
			entries = entries[:len(entries)-1]
		}
		e := raft.Entry{Index: r.Index, Term: r.Term, Kind: r.Kind}
		if len(r.Data) > 0 {
			e.Data = slices.Clone(r.Data)
		}
		entries = append(entries, e)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if after := contents(t, mem); !slices.EqualFunc(before, after, func(a, b []byte) bool { return bytes.Equal(a, b) }) {
		t.Fatal("the inspection changed something")
	}
	return in, entries
}

// contents are the names and bytes of all files.
func contents(t testing.TB, mem *vfs.Mem) (all [][]byte) {
	t.Helper()
	names, err := mem.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := vfs.ReadFile(mem, testDir+"/"+name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, []byte(name), b)
	}
	return all
}

// agrees holds an inspection against what Open makes of the same files.
func agrees(t testing.TB, mem *vfs.Mem) error {
	t.Helper()
	in, entries := inspected(t, mem)
	l, err := Open(Options{FS: crashAll(mem), Dir: testDir, Owner: testOwner, FileBytes: 4096})
	var corrupt *vfs.CorruptError
	if errors.As(err, &corrupt) {
		if len(in.Faults) == 0 {
			return fmt.Errorf("Open says %w, Inspect nothing", err)
		}
		for _, f := range in.Faults {
			if f.File == corrupt.File && f.Offset == corrupt.Offset {
				return nil
			}
		}
		return fmt.Errorf("Open says %w, Inspect %+v", err, in.Faults)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if len(in.Faults) > 0 {
		return fmt.Errorf("Open finds nothing, Inspect %+v", in.Faults)
	}
	if in.First != l.FirstIndex() || in.Last != l.LastIndex() || in.Hard != l.HardState() || in.Owner != l.Owner() {
		return fmt.Errorf("entries %d to %d, %+v, %v; Open has %d to %d, %+v, %v", in.First, in.Last, in.Hard, in.Owner,
			l.FirstIndex(), l.LastIndex(), l.HardState(), l.Owner())
	}
	want, err := all(l)
	if err != nil {
		return err
	}
	for _, e := range want {
		if term, ok := in.Term(e.Index); !ok || term != e.Term {
			return fmt.Errorf("entry %d has term %d, %v; Open has %d", e.Index, term, ok, e.Term)
		}
	}
	if n := len(entries) - len(want); n >= 0 { // records of trimmed entries may still stand in the first file
		entries = entries[n:]
	}
	return sameEntries(entries, want)
}

// TestInspectAgreesWithOpen flips a bit of every byte of every file: what Open refuses Inspect names, at the same place,
// and what Open accepts Inspect finds whole, with the same entries.
func TestInspectAgreesWithOpen(t *testing.T) {
	for _, closed := range []bool{true, false} {
		mem, _ := written(t, ByPwrite, closed)
		if err := agrees(t, mem); err != nil {
			t.Fatalf("undamaged: %v", err)
		}
		for _, file := range append(logFiles(t, mem), originName) {
			info, err := mem.Stat(testDir + "/" + file)
			if err != nil {
				t.Fatal(err)
			}
			step := int64(3)
			if !closed || testing.Short() {
				step = 13
			}
			for off := int64(0); off < info.Size; off += step {
				damaged := crashAll(mem)
				flip(t, damaged, file, off, 1<<(off%8))
				if err := agrees(t, damaged); err != nil {
					t.Fatalf("closed %v, %s at %d: %v", closed, file, off, err)
				}
			}
		}
	}
}

// TestInspectAfterCrash: whatever a crash leaves, Inspect and Open see the same log in it, and no damage.
func TestInspectAfterCrash(t *testing.T) {
	mem, _ := written(t, ByPwrite, false)
	for seed := range uint64(50) {
		crashed := mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(seed, 1))})
		if err := agrees(t, crashed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestInspectGoesOn damages two entries of one file, and one of the next: each is told, with what is lost, and all other
// entries are shown.
func TestInspectGoesOn(t *testing.T) {
	mem, _ := written(t, ByPwrite, true)
	var places []Record
	if _, err := Inspect(InspectOptions{FS: mem, Dir: testDir, Visit: func(r *Record) error {
		if r.Type == "entry" {
			r.Data = nil
			places = append(places, *r)
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	_, whole := inspected(t, mem)
	hit := map[uint64]bool{}
	for _, r := range []Record{places[0], places[2], places[len(places)-1]} {
		flip(t, mem, r.File[len(testDir)+1:], r.Offset+recordHead+entryHead+3, 1)
		hit[r.Index] = true
	}
	in, entries := inspected(t, mem)
	if len(in.Faults) != 3 {
		t.Fatalf("%d faults: %+v", len(in.Faults), in.Faults)
	}
	for _, f := range in.Faults {
		if f.FirstLost != f.LastLost || !hit[f.FirstLost] {
			t.Errorf("%s at %d: entries %d to %d are lost", f.File, f.Offset, f.FirstLost, f.LastLost)
		}
	}
	var want []raft.Entry
	for _, e := range whole {
		if !hit[e.Index] {
			want = append(want, e)
		}
	}
	if err := sameEntries(entries, want); err != nil {
		t.Error(err)
	}
}

// TestInspectFindsFiles: what is missing, foreign, swapped, short or another's is named.
func TestInspectFindsFiles(t *testing.T) {
	at := func(name string) string { return testDir + "/" + name }
	for name, tc := range map[string]struct {
		change func(t *testing.T, mem *vfs.Mem, logs []string) (file string)
	}{
		"missing in the middle": {func(t *testing.T, mem *vfs.Mem, logs []string) string {
			must(t, mem.Remove(at(logs[1])))
			return logs[1]
		}},
		"missing at the beginning": {func(t *testing.T, mem *vfs.Mem, logs []string) string {
			must(t, mem.Remove(at(logs[0])))
			return logs[0]
		}},
		"no origin": {func(t *testing.T, mem *vfs.Mem, logs []string) string {
			must(t, mem.Remove(at(originName)))
			return logName(1)
		}},
		"swapped": {func(t *testing.T, mem *vfs.Mem, logs []string) string {
			must(t, mem.Rename(at(logs[0]), at("x")))
			must(t, mem.Rename(at(logs[1]), at(logs[0])))
			must(t, mem.Rename(at("x"), at(logs[1])))
			return logs[0]
		}},
		"short": {func(t *testing.T, mem *vfs.Mem, logs []string) string {
			f, err := mem.OpenRW(at(logs[1]))
			must(t, err)
			defer f.Close()
			must(t, f.Truncate(1000))
			return logs[1]
		}},
		"empty": {func(t *testing.T, mem *vfs.Mem, logs []string) string {
			f, err := mem.OpenRW(at(logs[1]))
			must(t, err)
			defer f.Close()
			must(t, f.Truncate(0))
			return logs[1]
		}},
	} {
		t.Run(name, func(t *testing.T) {
			mem, _ := written(t, ByPwrite, true)
			file := tc.change(t, mem, logFiles(t, mem))
			in, _ := inspected(t, mem)
			if !slices.ContainsFunc(in.Faults, func(f Fault) bool { return f.File == at(file) }) {
				t.Errorf("%s is not named: %+v", file, in.Faults)
			}
			if err := agrees(t, mem); err != nil {
				t.Error(err)
			}
		})
	}
	mem, _ := written(t, ByPwrite, true)
	f, err := mem.Create(at("notes.txt"))
	must(t, err)
	f.Close()
	if in, _ := inspected(t, mem); len(in.Faults) > 0 || len(in.Foreign) != 1 || in.Foreign[0] != "notes.txt" {
		t.Errorf("a foreign file: %+v, %v", in.Faults, in.Foreign)
	}
	other := testOwner
	other.Node++
	in, err := Inspect(InspectOptions{FS: mem, Dir: testDir, Owner: &other})
	if err != nil || len(in.Faults) == 0 {
		t.Errorf("another owner: %+v, %v", in, err)
	}
	if _, err := Inspect(InspectOptions{FS: mem, Dir: "nowhere"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestInspectTorn: the entries of a batch whose marker never reached the disk are shown as torn, and are no fault.
func TestInspectTorn(t *testing.T) {
	mem, _ := written(t, ByPwrite, true)
	var last Record
	if _, err := Inspect(InspectOptions{FS: mem, Dir: testDir, Visit: func(r *Record) error {
		if r.Type == "marker" {
			last = *r
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	f, err := mem.OpenRW(last.File)
	must(t, err)
	_, err = f.WriteAt(make([]byte, markerSize+noteSize), last.Offset)
	must(t, err)
	must(t, f.Close())
	torn := 0
	in, err := Inspect(InspectOptions{FS: mem, Dir: testDir, Visit: func(r *Record) error {
		if r.Torn {
			torn++
		}
		return nil
	}})
	if err != nil || torn == 0 || in.Tail != TailTorn || len(in.Faults) > 0 {
		t.Fatalf("%d torn records, tail %v, %+v, %v", torn, in.Tail, in.Faults, err)
	}
	if err := agrees(t, mem); err != nil {
		t.Error(err)
	}
}

// TestInspectStranger: one file of another member's log, with a header that verifies.
func TestInspectStranger(t *testing.T) {
	mem, _ := written(t, ByPwrite, true)
	name := testDir + "/" + logFiles(t, mem)[1]
	f, err := mem.OpenRW(name)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	h, err := decodeHeader(name, b)
	must(t, err)
	h.owner.Node++
	_, err = f.WriteAt(h.encode(), 0)
	must(t, err)
	in, _ := inspected(t, mem)
	if !slices.ContainsFunc(in.Faults, func(f Fault) bool { return f.File == name && f.Offset == ownerOffset }) {
		t.Errorf("%+v", in.Faults)
	}
	if err := agrees(t, mem); err != nil {
		t.Error(err)
	}
}
