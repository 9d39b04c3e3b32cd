package fsck

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// restate writes the manifest anew, with a right checksum, as change makes it.
func restate(t *testing.T, mem *vfs.Mem, change func(*manifest.State)) {
	t.Helper()
	s, err := manifest.Decode(read(t, mem, "MANIFEST"))
	must(t, err)
	change(s)
	write(t, mem, "MANIFEST", s.Encode())
}

func truncate(t *testing.T, mem *vfs.Mem, name string, size int64) {
	t.Helper()
	f, err := mem.OpenRW(path.Join(testDir, name))
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(size))
}

func remove(t *testing.T, mem *vfs.Mem, name string) {
	t.Helper()
	must(t, mem.Remove(path.Join(testDir, name)))
}

// TestDamages plants every kind of damage, one at a time, and wants it named: as what it is, in the file it is in.
func TestDamages(t *testing.T) {
	var early []byte // a manifest of a time when there was one segment
	d := makeDirectory(t, "", func(mem *vfs.Mem, i int) {
		if i == 70 {
			early = read(t, mem, "MANIFEST")
		}
	})
	other := makeDirectory(t, "other", nil)
	segments, logs := list(t, d.mem, "segments", ".seg"), list(t, d.mem, "wal", ".log")
	if len(segments) != 4 || len(logs) < 3 {
		t.Fatal(segments, logs)
	}
	for name, tc := range map[string]struct {
		plant func(t *testing.T, mem *vfs.Mem)
		kind  string
		file  string
		lost  string // part of what is said to be lost
	}{
		"segment missing": {func(t *testing.T, mem *vfs.Mem) { remove(t, mem, segments[1]) },
			KindSegmentMissing, segments[1], "entries 60 to 120"},
		"segment cut": {func(t *testing.T, mem *vfs.Mem) { truncate(t, mem, segments[1], 5000) },
			KindSegmentSize, segments[1], ""},
		"segment cut, named": {func(t *testing.T, mem *vfs.Mem) { truncate(t, mem, segments[1], 5000) },
			KindSegmentDamaged, segments[1], "entries 60 to 120"},
		"segment empty": {func(t *testing.T, mem *vfs.Mem) { truncate(t, mem, segments[0], 0) },
			KindSegmentDamaged, segments[0], "entries 0 to 59"},
		"segments swapped": {func(t *testing.T, mem *vfs.Mem) {
			a, b := read(t, mem, segments[1]), read(t, mem, segments[2])
			write(t, mem, segments[1], b)
			write(t, mem, segments[2], a)
		}, KindSegmentWrong, segments[2], "entries 121 to"},
		"segment of another history": {func(t *testing.T, mem *vfs.Mem) { write(t, mem, segments[1], read(t, other.mem, segments[1])) },
			KindSegmentWrong, segments[1], "entries 60 to 120"},
		"a block of a segment": {func(t *testing.T, mem *vfs.Mem) { flip(t, mem, segments[3], 3000) },
			KindSegmentDamaged, segments[3], "of the keys from"},
		"manifest missing": {func(t *testing.T, mem *vfs.Mem) { remove(t, mem, "MANIFEST") },
			KindLogGap, "MANIFEST", "which segments"},
		"manifest cut": {func(t *testing.T, mem *vfs.Mem) { truncate(t, mem, "MANIFEST", 100) },
			KindManifest, "MANIFEST", "which segments"},
		"manifest stale": {func(t *testing.T, mem *vfs.Mem) { write(t, mem, "MANIFEST", early) },
			KindLogGap, "MANIFEST", "log's entries"},
		"manifest of another cluster": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.ClusterID = strings.Repeat("0c", 16) })
		}, KindManifest, "MANIFEST", ""},
		"manifest of another term": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.AppliedTerm += 5 })
		}, KindLogGap, "MANIFEST", ""},
		"manifest with a wrong root": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.Segments[2].Root[5] ^= 1 })
		}, KindSegmentWrong, segments[2], ""},
		"manifest with wrong keys": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.Segments[0].MaxKey = []byte("zz") })
		}, KindSegmentWrong, segments[0], ""},
		"manifest with a wrong frontier": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.Frontier[20] ^= 1 })
		}, KindLedgerTree, "MANIFEST", ""},
		"manifest with another tree's frontier": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.Frontier = new(tlog.Frontier).Marshal() })
		}, KindManifest, "MANIFEST", ""},
		"manifest without its members": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.Members = []byte{9, 9} })
		}, KindManifest, "MANIFEST", ""},
		"manifest with a broken window": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.Idempotency = s.Idempotency[:len(s.Idempotency)-1] })
		}, KindManifest, "MANIFEST", ""},
		"recorded otherwise": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.Recorded[1].Root[0] ^= 1 })
		}, KindSegmentRecord, "MANIFEST", ""},
		"recorded too little": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.Recorded = s.Recorded[:1] })
		}, KindSegmentRecord, "MANIFEST", ""},
		"another history's segments": {func(t *testing.T, mem *vfs.Mem) {
			for _, name := range append(slices.Clone(segments), "MANIFEST") {
				write(t, mem, name, read(t, other.mem, name))
			}
		}, KindSegmentRecord, "MANIFEST", ""},
		"another history's manifest": {func(t *testing.T, mem *vfs.Mem) { write(t, mem, "MANIFEST", read(t, other.mem, "MANIFEST")) },
			KindSegmentWrong, segments[0], ""},
		"log file missing": {func(t *testing.T, mem *vfs.Mem) { remove(t, mem, logs[1]) }, KindLog, logs[1], ""},
		"log that ends before the manifest": {func(t *testing.T, mem *vfs.Mem) {
			restate(t, mem, func(s *manifest.State) { s.AppliedIndex += 10_000 })
		}, KindLogGap, "wal", "promised"},
		"log file cut": {func(t *testing.T, mem *vfs.Mem) { truncate(t, mem, logs[1], 4096) }, KindLog, logs[1], ""},
		"hole in the log": {func(t *testing.T, mem *vfs.Mem) {
			edit(t, mem, logs[1], used(t, mem, path.Base(logs[1]))/2&^7, func(b []byte) { clear(b) })
		}, KindLog, logs[1], "log's entries"},
		"hole in the newest log file": {func(t *testing.T, mem *vfs.Mem) {
			edit(t, mem, logs[len(logs)-1], 512, func(b []byte) { clear(b) })
		}, KindLog, logs[len(logs)-1], "log's entries"},
		"log of another history": {func(t *testing.T, mem *vfs.Mem) { write(t, mem, logs[1], read(t, other.mem, logs[1])) },
			KindLog, logs[1], ""},
		"no log": {func(t *testing.T, mem *vfs.Mem) {
			for _, name := range list(t, mem, "wal", "") {
				remove(t, mem, name)
			}
		}, KindLog, "wal", "not in segments"},
		"origin": {func(t *testing.T, mem *vfs.Mem) {
			flip(t, mem, "wal/origin", 3)
			flip(t, mem, "wal/origin", 512+3)
		}, KindLog, "wal/origin", ""},
		"no identity":      {func(t *testing.T, mem *vfs.Mem) { remove(t, mem, "IDENTITY") }, KindIdentity, "IDENTITY", ""},
		"no such identity": {func(t *testing.T, mem *vfs.Mem) { write(t, mem, "IDENTITY", []byte("{}")) }, KindIdentity, "IDENTITY", ""},
		"another node's identity": {func(t *testing.T, mem *vfs.Mem) {
			b := strings.Replace(string(read(t, mem, "IDENTITY")), `"node_id": 1`, `"node_id": 2`, 1)
			write(t, mem, "IDENTITY", []byte(b))
		}, KindLog, logs[0], ""},
	} {
		t.Run(name, func(t *testing.T) {
			mem := clone(d.mem)
			tc.plant(t, mem)
			r := check(t, mem)
			if r.Clean || !r.has(Damage, tc.kind, tc.file) {
				t.Fatalf("want %s of %s:%s", tc.kind, tc.file, r.text())
			}
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool {
				return f.Kind == tc.kind && f.File == tc.file && strings.Contains(f.Lost, tc.lost)
			}) {
				t.Errorf("that %q is lost is not said:%s", tc.lost, r.text())
			}
		})
	}
}

// TestNoDamage: what is odd and does no harm is told as such.
func TestNoDamage(t *testing.T) {
	d := makeDirectory(t, "", nil)
	segments, logs := list(t, d.mem, "segments", ".seg"), list(t, d.mem, "wal", ".log")
	last := logs[len(logs)-1]
	for name, tc := range map[string]struct {
		plant func(t *testing.T, mem *vfs.Mem)
		kind  string // of the notice; empty for none
		file  string
	}{
		"foreign file":         {func(t *testing.T, mem *vfs.Mem) { write(t, mem, "notes.txt", nil) }, KindForeign, "notes.txt"},
		"foreign in the log":   {func(t *testing.T, mem *vfs.Mem) { write(t, mem, "wal/x", nil) }, KindForeign, "wal/x"},
		"foreign segment":      {func(t *testing.T, mem *vfs.Mem) { write(t, mem, "segments/x.seg", nil) }, KindForeign, "segments/x.seg"},
		"half-written segment": {func(t *testing.T, mem *vfs.Mem) { write(t, mem, "segments/1.seg.tmp", nil) }, KindLeftOver, "segments/1.seg.tmp"},
		"built, not installed": {func(t *testing.T, mem *vfs.Mem) {
			write(t, mem, "segments/"+tlog.SegmentID(d.size, d.size+9)+".seg", nil)
		}, KindLeftOver, "segments/" + tlog.SegmentID(d.size, d.size+9) + ".seg"},
		"merged away": {func(t *testing.T, mem *vfs.Mem) {
			write(t, mem, "segments/"+tlog.SegmentID(0, 120)+".seg", nil)
		}, KindLeftOver, "segments/" + tlog.SegmentID(0, 120) + ".seg"},
		"torn tail": {func(t *testing.T, mem *vfs.Mem) {
			end := (used(t, mem, path.Base(last)) + 40 + 7) &^ 7 // behind the note
			edit(t, mem, last, end, func(b []byte) { copy(b, "\x20\x00\x00\x00\x01\x01\x00\x00torn in the middle") })
		}, "", ""},
		"to be rebuilt": {func(t *testing.T, mem *vfs.Mem) { write(t, mem, "REBUILD", []byte("diverged\n")) }, KindNote, "REBUILD"},
		"snapshot half installed": {func(t *testing.T, mem *vfs.Mem) {
			must(t, mem.MkdirAll(testDir+"/incoming"))
			m := read(t, mem, "MANIFEST")
			write(t, mem, "incoming/MANIFEST", m)
			write(t, mem, "incoming/"+path.Base(segments[1]), read(t, mem, segments[1]))
			remove(t, mem, segments[1])
			remove(t, mem, "MANIFEST")
			write(t, mem, "INSTALL", []byte(note(t, m)))
		}, KindNote, "INSTALL"},
	} {
		t.Run(name, func(t *testing.T) {
			mem := clone(d.mem)
			tc.plant(t, mem)
			r := check(t, mem)
			if !r.Clean {
				t.Fatalf("damage:%s", r.text())
			}
			if tc.kind == "" && r.Notices > 0 || tc.kind != "" && !r.has(Notice, tc.kind, tc.file) {
				t.Errorf("want a notice %s of %s:%s", tc.kind, tc.file, r.text())
			}
		})
	}
}

func note(t *testing.T, encoded []byte) string {
	s, err := manifest.Decode(encoded)
	must(t, err)
	b, err := json.Marshal(ledger.Installation{Index: s.AppliedIndex, Term: s.AppliedTerm, Manifest: xxhash.Sum64(encoded)})
	must(t, err)
	return string(b)
}

// TestSeveralDamages: none hides another, and every damaged place of one segment is told.
func TestSeveralDamages(t *testing.T) {
	d := makeDirectory(t, "", nil)
	segments, logs := list(t, d.mem, "segments", ".seg"), list(t, d.mem, "wal", ".log")
	mem := clone(d.mem)
	for _, off := range []int64{100, 3000, 6000} {
		flip(t, mem, segments[0], off)
	}
	remove(t, mem, segments[2])
	flip(t, mem, segments[3], 2000)
	edit(t, mem, logs[0], 512, func(b []byte) { clear(b) })
	edit(t, mem, logs[1], 512, func(b []byte) { clear(b) })
	r := check(t, mem)
	for file, want := range map[string]int{segments[0]: 3, segments[1]: 0, segments[2]: 1, segments[3]: 1, logs[0]: 1, logs[1]: 1} {
		got := 0
		for _, f := range r.Findings {
			if f.File == file && f.Severity == Damage {
				got++
			}
		}
		if got != want {
			t.Errorf("%d findings of %s, want %d", got, file, want)
		}
	}
	if t.Failed() {
		t.Log(r.text())
	}
	// Without the manifest each segment is still read.
	flip(t, mem, "MANIFEST", 40)
	if r := check(t, mem); !r.has(Damage, KindManifest, "MANIFEST") || !r.has(Damage, KindSegmentDamaged, segments[0]) ||
		!r.has(Damage, KindSegmentDamaged, segments[3]) {
		t.Errorf("without a manifest:%s", r.text())
	}
}

// TestRecords: records follow each other, and a merged segment takes the place of those it was made of.
func TestRecords(t *testing.T) {
	desc := func(first, last uint64) tlog.Descriptor {
		return tlog.Descriptor{FirstSeq: first, LastSeq: last, Entries: last - first + 1, Root: merkle.Hash{byte(first), byte(last)}}
	}
	var line []tlog.Descriptor
	for _, tc := range []struct {
		first, last uint64
		ok          bool
		want        int
	}{
		{0, 9, true, 1}, {10, 19, true, 2}, {20, 29, true, 3}, {20, 29, false, 3}, {31, 40, false, 3}, {0, 9, false, 3},
		{5, 19, false, 3}, {10, 29, true, 2}, {30, 39, true, 3}, {10, 35, false, 3}, {0, 39, true, 1}, {0, 39, false, 1},
	} {
		next, ok := recorded(slices.Clone(line), desc(tc.first, tc.last))
		if ok != tc.ok || ok && len(next) != tc.want {
			t.Fatalf("%d to %d: %v, %v", tc.first, tc.last, ok, next)
		}
		if ok {
			line = next
		}
	}
	if line[0] != desc(0, 39) {
		t.Error(line)
	}
}

// TestUncommittedCommands: what was not committed when the log was written says nothing of the ledger.
func TestUncommittedCommands(t *testing.T) {
	c := newChecker(t.Context(), Options{FS: vfs.NewMem(), Dir: testDir})
	c.log = &wal.Inspection{Hard: raft.HardState{Commit: 5}}
	for index := range uint64(4) {
		c.commands.all = append(c.commands.all, command{index: 3 + index, check: &ledger.RootCheck{Size: index}},
			command{index: 3 + index, desc: &tlog.Descriptor{FirstSeq: index}})
	}
	c.settleCommands()
	if len(c.commands.checks) != 3 || len(c.commands.recorded) != 3 {
		t.Errorf("%+v", c.commands)
	}
}
