package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/fsck"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// offline is a data directory in memory, made step by step by a real node, always the same, and the command over it.
func offline(t *testing.T) (*vfs.Mem, *command) {
	t.Helper()
	mem := vfs.NewMem()
	now := time.UnixMicro(1_790_000_000_000_000)
	n, err := node.Open(node.Options{FS: mem, Dir: "data", NodeID: 1, Seed: 5, RaftAddr: "127.0.0.1:9001",
		HTTPAddr: "127.0.0.1:8001", Manual: true, Now: func() time.Time { return now },
		WAL: wal.Options{FileBytes: 64 << 10}, Ledger: ledger.Options{SealBytes: 4 << 10, CheckEvery: 16, BlockBytes: 512, CompactFanIn: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	settle := func() {
		for worked := true; worked; {
			worked = false
			for _, step := range []func() (bool, error){n.Turn, n.PersistStep, n.ApplyStep, n.KeepStep, n.FlushStep} {
				w, err := step()
				if err != nil {
					t.Fatal(err)
				}
				worked = worked || w
			}
		}
	}
	for i := range 30 {
		now = now.Add(time.Second)
		op := ledger.WriteOp{Op: tlog.OpPut, Key: fmt.Appendf(nil, "key-%d", i%8), ContentType: "text/plain",
			Value: fmt.Appendf(nil, "%0*d", 300, i)}
		switch i {
		case 12:
			op.Key = []byte("odd\x00\xff")
		case 14:
			op = ledger.WriteOp{Op: tlog.OpDelete, Key: []byte("key-1")}
		}
		p := n.Begin(&ledger.Command{Ops: []ledger.WriteOp{op}}, time.Time{})
		for _, err, done := p.Outcome(); !done; _, err, done = p.Outcome() {
			if err == nil {
				err = n.Tick()
			}
			if err != nil {
				t.Fatal(err)
			}
			settle()
		}
		if _, err, _ := p.Outcome(); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return mem, &command{t: t, fs: mem}
}

// flipBit damages a file.
func flipBit(t *testing.T, mem *vfs.Mem, name string, off int64) {
	t.Helper()
	f, err := mem.OpenRW(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, mem *vfs.Mem, dir, suffix string) (out []string) {
	t.Helper()
	all, err := mem.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if strings.HasSuffix(name, suffix) && !strings.HasPrefix(name, "spare") {
			out = append(out, path.Join(dir, name))
		}
	}
	return out
}

// masks hide what another seed, block format or log layout makes of the same entries.
var masks = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "CLUSTER"},
	{regexp.MustCompile(`instance [0-9a-f]{16}`), "instance INSTANCE"},
	{regexp.MustCompile(`"instance":"[0-9a-f]{16}"`), `"instance":"INSTANCE"`},
	{regexp.MustCompile(`[0-9.]+ [KM]iB`), "SIZE"},
	{regexp.MustCompile(`"bytes":[0-9]+`), `"bytes":0`},
	{regexp.MustCompile(`(?m)^([0-9a-f]{16}-[0-9a-f]{16}  [0-9]+ +)[0-9]+( +local)`), "${1}BYTES$2"},
	{regexp.MustCompile(`(?m)^([0-9a-f]{16}\.log  [0-9]+  )[0-9]+`), "${1}USED"},
	{regexp.MustCompile(`"used":[0-9]+`), `"used":0`},
}

// golden compares an output with the file of that name. Where the file is missing it is written, and the test fails for
// once.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, m := range masks {
		got = m.what.ReplaceAllString(got, m.by)
	}
	file := filepath.Join("testdata", name+".golden")
	want, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("%s was written; look at it and commit it", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

func TestInspectGolden(t *testing.T) {
	mem, c := offline(t)
	segment := names(t, mem, "data/segments", ".seg")[1]
	for name, args := range map[string][]string{
		"directory":      {"data"},
		"directory.json": {"data", "--json"},
		"manifest":       {"data/MANIFEST"},
		"manifest.json":  {"data/MANIFEST", "--json"},
		"log":            {"data/wal"},
		"log.json":       {"data/wal", "--json"},
		"segment":        {segment, "--entries"},
		"segment.json":   {segment, "--entries", "--limit", "3", "--json"},
		"key":            {segment, "--key", "key-2"},
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, "inspect-"+name, c.ok(append([]string{"inspect"}, args...)...))
		})
	}
}

// TestInspectRecords shows a log of known records, one of them torn.
func TestInspectRecords(t *testing.T) {
	mem := vfs.NewMem()
	l, err := wal.Open(wal.Options{FS: mem, Dir: "wal", FileBytes: 4096, SpareFiles: -1,
		Owner: wal.Owner{Cluster: raft.ClusterID{1}, Node: 3}})
	if err != nil {
		t.Fatal(err)
	}
	write := func(op ledger.WriteOp) []byte {
		b, err := ledger.EncodeWrite(&ledger.Command{Ops: []ledger.WriteOp{op}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	members, err := raft.NewMembership(raft.Member{ID: 3, Role: raft.Voter, RaftAddr: "127.0.0.1:9001"})
	if err != nil {
		t.Fatal(err)
	}
	for i, entries := range [][]raft.Entry{
		{{Index: 1, Term: 1, Kind: raft.EntryMembers, Data: raft.AppendMembership(nil, members)}, {Index: 2, Term: 1, Kind: raft.EntryNoop}},
		{{Index: 3, Term: 1, Kind: raft.EntryNormal, Data: write(ledger.WriteOp{Op: tlog.OpPut, Key: []byte("a"), Value: []byte("value")})}},
		{{Index: 4, Term: 1, Kind: raft.EntryNormal, Data: write(ledger.WriteOp{Op: tlog.OpDelete, Key: []byte("b\x1b")})}},
		{{Index: 5, Term: 1, Kind: raft.EntryNormal, Data: []byte("no command")}, {Index: 6, Term: 1, Kind: raft.EntryNormal, Data: ledger.SealNow()}},
	} {
		var hs *raft.HardState
		if i == 0 {
			hs = &raft.HardState{Term: 1, Vote: 3, Commit: 1}
		}
		if err := l.Append(hs, entries); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := &command{t: t, fs: mem}
	golden(t, "inspect-records", c.ok("inspect", "wal", "--records"))
	golden(t, "inspect-records.json", c.ok("inspect", "wal", "--records", "--json"))
	file := names(t, mem, "wal", ".log")[0]
	if out := c.ok("inspect", file, "--key", "a"); !strings.Contains(out, `put "a" of 5 bytes`) || strings.Contains(out, "delete") {
		t.Error(out)
	}
	if out := c.ok("inspect", file, "--records", "--limit", "2"); strings.Count(out, "\n") != strings.Count(c.ok("inspect", file), "\n")+4 {
		t.Error(out)
	}

	// The payload of entry 3.
	var at int64
	for _, line := range strings.Split(c.ok("inspect", file, "--records", "--json"), "\n") {
		var r recordJSON
		if json.Unmarshal([]byte(line), &r) == nil && r.Index == 3 && r.Type == "entry" {
			at = r.Offset + 40
		}
	}
	flipBit(t, mem, file, at)
	code, out, stderr := c.run("inspect", file, "--records")
	if code != exitFailure || !strings.Contains(stderr, "1 damage") || !strings.Contains(out, "the log's entries 3 to 3") ||
		!strings.Contains(out, "DAMAGE") || !strings.Contains(out, "delete") || strings.Contains(out, `put "a"`) {
		t.Errorf("exit %d, %s, %s", code, out, stderr)
	}
}

func TestInspectDamaged(t *testing.T) {
	mem, c := offline(t)
	segments := names(t, mem, "data/segments", ".seg")
	flipBit(t, mem, segments[1], 100)
	flipBit(t, mem, "data/MANIFEST", 50)
	flipBit(t, mem, names(t, mem, "data/wal", ".log")[0], 500)
	code, out, stderr := c.run("inspect", "data", "--entries")
	if code != exitFailure || strings.Count(out, "DAMAGE") < 3 || !strings.Contains(stderr, "damages") {
		t.Errorf("exit %d, %s, %s", code, out, stderr)
	}
	if last := strings.TrimSuffix(path.Base(segments[len(segments)-1]), ".seg"); !strings.Contains(out, "segment        "+last) {
		t.Errorf("what follows damage is not shown: %s", out)
	}
	code, out, _ = c.run("inspect", segments[1], "--entries", "--json")
	if code != exitFailure || !strings.Contains(out, `{"kind":"damage","file":"`+segments[1]+`"`) {
		t.Errorf("exit %d, %s", code, out)
	}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

func TestInspectRefuses(t *testing.T) {
	mem, c := offline(t)
	f, err := mem.Create("stray")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := mem.MkdirAll("void"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stray", "void", "nowhere"} {
		if code, _, stderr := c.run("inspect", name); code != exitFailure || !strings.Contains(stderr, name) {
			t.Errorf("%s: exit %d, %s", name, code, stderr)
		}
	}
	if code, _, _ := c.run("inspect"); code != exitUsage {
		t.Errorf("no path: exit %d", code)
	}
	if code, _, _ := c.run("inspect", "data", "--limit", "x"); code != exitUsage {
		t.Errorf("a bad limit: exit %d", code)
	}
}

func TestFsck(t *testing.T) {
	mem, c := offline(t)
	golden(t, "fsck", c.ok("fsck", "data"))
	var r fsck.Report
	if err := json.Unmarshal([]byte(c.ok("fsck", "data/", "--json")), &r); err != nil || !r.Clean || r.Dir != "data" {
		t.Errorf("%+v, %v", r, err)
	}
	segment := names(t, mem, "data/segments", ".seg")[1]
	flipBit(t, mem, segment, 100)
	code, out, stderr := c.run("fsck", "data")
	if code != exitDamage || !strings.Contains(stderr, "1 damage in data") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	for _, want := range []string{"DAMAGE      " + strings.TrimPrefix(segment, "data/") + " at ", "      lost  ", "        do  start the node",
		"result     NOT CLEAN: 1 damaged, 0 unreadable, 1 notice"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q lacks %q", out, want)
		}
	}
	code, out, _ = c.run("fsck", "data", "--json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitDamage || r.Clean || r.Damaged != 1 ||
		r.Findings[0].File != strings.TrimPrefix(segment, "data/") || r.Findings[0].Kind != fsck.KindSegmentDamaged {
		t.Errorf("exit %d, %+v, %v", code, r, err)
	}

	c.fs = vfs.NewInject(mem, func(op vfs.Op) vfs.Decision {
		if op.Kind == vfs.OpReadAt && op.Name == segment {
			return vfs.Decision{Err: os.ErrPermission}
		}
		return vfs.Decision{}
	})
	if code, out, _ := c.run("fsck", "data"); code != exitFailure || !strings.Contains(out, "UNREADABLE") {
		t.Errorf("unreadable: exit %d, %s", code, out)
	}
	c.fs = mem
	if code, _, stderr := c.run("fsck", "nowhere"); code != exitFailure || !strings.Contains(stderr, "nowhere") {
		t.Errorf("nowhere: exit %d, %s", code, stderr)
	}
	for _, args := range [][]string{{"fsck"}, {"fsck", "a", "b"}, {"fsck", "data", "--repair"}} {
		if code, _, _ := c.run(args...); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}

// TestFsckLock: a directory that a node uses is refused, and none starts on one that is being checked.
func TestFsckLock(t *testing.T) {
	dir := t.TempDir()
	held, err := vfs.NewOS().Lock(filepath.Join(dir, lockName))
	if err != nil {
		t.Fatal(err)
	}
	c := &command{t: t, fs: vfs.NewOS()}
	code, _, stderr := c.run("fsck", dir)
	if code != exitFailure || !strings.Contains(stderr, "a node uses this directory") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	c.fs = vfs.NewInject(vfs.NewOS(), func(vfs.Op) vfs.Decision {
		if l, err := vfs.NewOS().Lock(filepath.Join(dir, lockName)); err == nil {
			l.Close()
			t.Error("a node could start while the directory is checked")
		}
		return vfs.Decision{}
	})
	c.run("fsck", dir)
}

// TestProgressBar: it is drawn for a person only, and leaves the report alone.
func TestProgressBar(t *testing.T) {
	mem, _ := offline(t)
	for _, terminal := range []bool{false, true} {
		var out, errs bytes.Buffer
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, fs: mem, lock: vfs.NewOS().LockShared,
			getenv: func(string) string { return "" }, isTerminal: func(f any) bool { return terminal && f == any(&errs) }}
		if code := a.run(context.Background(), []string{"fsck", "data"}); code != exitOK || !strings.Contains(out.String(), "clean") {
			t.Fatalf("exit %d, %s", code, errs.String())
		}
		if strings.Contains(errs.String(), "checking") != terminal || strings.Contains(out.String(), "checking") {
			t.Errorf("terminal %v: %q", terminal, errs.String())
		}
	}
}

// TestOfflineHelp: help has examples, and completion offers the commands.
func TestOfflineHelp(t *testing.T) {
	c := &command{t: t, fs: vfs.NewMem()}
	for _, name := range []string{"inspect", "fsck"} {
		if out := c.ok(name, "--help"); !strings.Contains(out, "Examples:") || !strings.Contains(out, "scribe "+name) {
			t.Error(out)
		}
	}
	for args, want := range map[string]string{"fs": "fsck", "ins": "inspect"} {
		var out, errs bytes.Buffer
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" },
			isTerminal: func(any) bool { return false }}
		if code := a.run(context.Background(), []string{"__complete", args}); code != exitOK || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit %d, %s", args, code, out.String())
		}
	}
}
