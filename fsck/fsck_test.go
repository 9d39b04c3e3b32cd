package fsck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

const testDir = "data"

// made is a data directory that a real node has made.
type made struct {
	mem  *vfs.Mem
	root string // of the ledger's entries in segments
	size uint64
}

// makeDirectory runs a node that writes, deletes and seals, and closes it. salt goes into the values: with another one
// the directory is that of the same node of the same cluster, with other entries at the same seqs.
func makeDirectory(t testing.TB, salt string, during func(*vfs.Mem, int)) made {
	t.Helper()
	mem := vfs.NewMem()
	clock := int64(1_790_000_000_000_000)
	n, err := node.Open(node.Options{FS: mem, Dir: testDir, NodeID: 1, Seed: 7, RaftAddr: "127.0.0.1:9001",
		Heartbeat: 5 * time.Millisecond, Now: func() time.Time { return time.UnixMicro(clock) }, WAL: wal.Options{FileBytes: 64 << 10, SpareFiles: 1},
		Ledger: ledger.Options{SealBytes: 1 << 30, CheckEvery: 64, BlockBytes: 1 << 10, BlockCacheBytes: 1 << 20,
			CompactFanIn: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	select {
	case <-n.Ready():
	case <-n.Failed():
		t.Fatal(n.Err())
	}
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(1, uint64(len(salt))))
	for i := range 330 {
		op := ledger.WriteOp{Op: tlog.OpPut, Key: fmt.Appendf(nil, "key-%03d", i*37%110), Value: fmt.Appendf(nil, "value %d %s", i, salt)}
		switch {
		case i%60 == 59:
			op.Value = noise(rng, 40<<10)
		case i > 240:
			op.Value = noise(rng, 2500) // so that what is not in segments takes several log files
		case i%5 == 0:
			op.Value = noise(rng, 300)
		case i == 201:
			op = ledger.WriteOp{Op: tlog.OpDelete, Key: op.Key}
		}
		if _, err := n.Write(ctx, &ledger.Command{Ops: []ledger.WriteOp{op}, IdempotencyKey: fmt.Sprint("write ", i)}); err != nil {
			t.Fatal(err)
		}
		if i%60 == 59 && i < 240 {
			if _, err := n.Seal(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if during != nil {
			during(mem, i)
		}
	}
	m := n.Ledger().Manifest()
	root, err := n.Ledger().RootAt(m.TreeSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return made{mem: mem, root: root.String(), size: m.TreeSize}
}

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// clone is a copy of a directory, to be damaged.
func clone(mem *vfs.Mem) *vfs.Mem { return mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}) }

// check runs Check, and fails when it writes.
func check(t testing.TB, fsys vfs.FS) *Report {
	t.Helper()
	watched := vfs.NewInject(fsys, func(op vfs.Op) vfs.Decision {
		if op.Kind.Mutates() || op.Kind == vfs.OpOpenRW {
			t.Errorf("the check changes something: %s", op)
		}
		return vfs.Decision{}
	})
	r, err := Check(context.Background(), Options{FS: watched, Dir: testDir})
	if err != nil {
		t.Fatal(err)
	}
	if r.Damaged+r.Notices+r.Unread != len(r.Findings)+r.Omitted || r.Clean != (r.Damaged+r.Unread == 0) {
		t.Errorf("the report contradicts itself: %+v", r)
	}
	for _, f := range r.Findings {
		if f.Problem == "" || f.File == "" || f.Severity == Damage && f.Do == "" {
			t.Errorf("a finding does not say what, where or what to do: %+v", f)
		}
	}
	return r
}

func (r *Report) text() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s %s: %s at %d: %s [%s]", f.Severity, f.Kind, f.File, f.Offset, f.Problem, f.Lost)
	}
	return b.String()
}

// has says whether a report has a finding of that kind about a file.
func (r *Report) has(severity Severity, kind, file string) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool {
		return f.Severity == severity && f.Kind == kind && f.File == file
	})
}

func read(t testing.TB, mem *vfs.Mem, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(mem, path.Join(testDir, name), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// write makes a file hold data, whatever stood there.
func write(t testing.TB, mem *vfs.Mem, name string, data []byte) {
	t.Helper()
	dir, base := path.Split(path.Join(testDir, name))
	must(t, vfs.WriteFileAtomic(mem, path.Clean(dir), base, data))
}

func edit(t testing.TB, mem *vfs.Mem, name string, off int64, change func([]byte)) {
	t.Helper()
	f, err := mem.OpenRW(path.Join(testDir, name))
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, min(size-off, 64))
	_, err = f.ReadAt(b, off)
	must(t, err)
	change(b)
	_, err = f.WriteAt(b, off)
	must(t, err)
}

func flip(t testing.TB, mem *vfs.Mem, name string, off int64) {
	edit(t, mem, name, off, func(b []byte) { b[0] ^= 1 << (off % 8) })
}

func list(t testing.TB, mem *vfs.Mem, dir, suffix string) (names []string) {
	t.Helper()
	all, err := mem.List(path.Join(testDir, dir))
	must(t, err)
	for _, name := range all {
		if strings.HasSuffix(name, suffix) && !strings.HasPrefix(name, "spare") {
			names = append(names, path.Join(dir, name))
		}
	}
	return names
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestClean(t *testing.T) {
	d := makeDirectory(t, "", nil)
	r := check(t, d.mem)
	if !r.Clean || r.Notices != 0 {
		t.Fatalf("not clean:%s", r.text())
	}
	if r.Root != d.root || r.Entries != d.size || r.Checked.Entries != d.size {
		t.Errorf("root %s of %d entries, %d read; the node has %s of %d", r.Root, r.Entries, r.Checked.Entries, d.root, d.size)
	}
	if r.NodeID != 1 || r.Log.Last == 0 || r.Log.Commit == 0 || r.Checked.Segments != 4 || r.Checked.LogFiles < 3 {
		t.Errorf("%+v", r)
	}
	if r.Log.First == 1 {
		t.Error("no log file was dropped: the test shows less than it should")
	}
	small, err := Check(context.Background(), Options{FS: d.mem, Dir: testDir + "/", WindowEntries: 16, CacheBytes: 1 << 12})
	if err != nil || !small.Clean || small.Root != d.root {
		t.Errorf("with a window of 16 entries: %v, %+v", err, small)
	}
}

// TestObjectStoreInside: what the cold tier keeps in the directory is the ledger's.
func TestObjectStoreInside(t *testing.T) {
	mem := makeDirectory(t, "", nil).mem
	for _, name := range []string{"cold", "cache"} {
		if err := mem.MkdirAll(testDir + "/" + name); err != nil {
			t.Fatal(err)
		}
		write(t, mem, name+"/x", []byte("x"))
	}
	if r := check(t, mem); !r.Clean || r.Notices != 0 {
		t.Errorf("not clean:%s", r.text())
	}
}

// TestProgress: it never goes back, and ends at the total.
func TestProgress(t *testing.T) {
	d := makeDirectory(t, "", nil)
	var last, end int64
	_, err := Check(context.Background(), Options{FS: d.mem, Dir: testDir, Progress: func(done, total int64) {
		if done < last || done > total || (end != 0 && total != end) {
			t.Errorf("%d of %d after %d of %d", done, total, last, end)
		}
		last, end = done, total
	}})
	if err != nil || last == 0 || last != end {
		t.Errorf("ended at %d of %d, %v", last, end, err)
	}
}

// TestWhatACrashLeaves: a power cut at any time is no damage.
func TestWhatACrashLeaves(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var crashed []*vfs.Mem
	makeDirectory(t, "", func(mem *vfs.Mem, i int) {
		if i%9 == 0 || i%60 > 57 {
			crashed = append(crashed, mem.CrashClone(vfs.CrashOptions{Keep: vfs.Keep(i % 3), Rand: rng}))
		}
	})
	for i, mem := range crashed {
		if r := check(t, mem); !r.Clean {
			t.Fatalf("crash %d:%s", i, r.text())
		}
	}
}

// TestMerges: segments that were merged, and whatever a power cut leaves of a merge, are no damage; damage to them is.
func TestMerges(t *testing.T) {
	mem := vfs.NewMem()
	n, err := node.Open(node.Options{FS: mem, Dir: testDir, NodeID: 1, Seed: 8, Heartbeat: 5 * time.Millisecond,
		WAL:    wal.Options{FileBytes: 64 << 10},
		Ledger: ledger.Options{SealBytes: 4 << 10, CompactFanIn: 2, BlockBytes: 1 << 10, BlockCacheBytes: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	<-n.Ready()
	rng := rand.New(rand.NewPCG(5, 6))
	var crashed []*vfs.Mem
	merged := func() bool {
		return slices.ContainsFunc(n.Ledger().Manifest().Segments, func(s ledger.SegmentInfo) bool { return s.Entries > 60 })
	}
	for i := 0; !merged() || i < 400; i++ {
		if i == 20_000 {
			t.Fatalf("nothing is merged: %+v", n.Ledger().Manifest())
		}
		op := ledger.WriteOp{Op: tlog.OpPut, Key: fmt.Appendf(nil, "key-%03d", i*37%110), Value: noise(rng, 200)}
		if _, err := n.Write(context.Background(), &ledger.Command{Ops: []ledger.WriteOp{op}}); err != nil {
			t.Fatal(err)
		}
		if i%11 == 0 && len(crashed) < 60 {
			crashed = append(crashed, mem.CrashClone(vfs.CrashOptions{Keep: vfs.Keep(i % 3), Rand: rng}))
		}
	}
	must(t, n.Close())
	crashed = append(crashed, mem)
	for i, mem := range crashed {
		if r := check(t, mem); !r.Clean {
			t.Fatalf("crash %d:%s", i, r.text())
		}
	}
	// Only what the manifest lists: the inputs of a merge may still stand beside it.
	state, err := manifest.Decode(read(t, mem, "MANIFEST"))
	must(t, err)
	var names []string
	for _, g := range state.Segments {
		names = append(names, "segments/"+tlog.SegmentID(g.FirstSeq, g.LastSeq)+".seg")
	}
	name := names[0]
	damaged := clone(mem)
	flip(t, damaged, name, 700)
	if r := check(t, damaged); !r.has(Damage, KindSegmentDamaged, name) {
		t.Errorf("a merged segment's damage is not found:%s", r.text())
	}
	// The same segment, well written, with a wrong node of the ledger tree.
	for _, name := range names {
		if file, ok := withWrongNodes(t, read(t, mem, name)); ok {
			write(t, mem, name, file)
			if r := check(t, mem); r.Damaged != 1 || !r.has(Damage, KindLedgerTree, name) {
				t.Errorf("a wrong node of the ledger tree:%s", r.text())
			}
			return
		}
	}
	t.Error("no segment has nodes of the ledger tree")
}

// withWrongNodes writes a segment anew, with another last node of the ledger tree; false when it has none.
func withWrongNodes(t *testing.T, file []byte) ([]byte, bool) {
	t.Helper()
	table, err := sstable.Open(segfile.NewBytesSource("segment", file), sstable.Options{})
	must(t, err)
	nodes, err := table.LedgerNodes()
	must(t, err)
	if len(nodes) == 0 {
		return nil, false
	}
	nodes[len(nodes)-1][0] ^= 1
	var out bytes.Buffer
	info := table.Info()
	w, err := sstable.NewWriter(&out, info.FirstSeq, info.LastSeq, sstable.WriterOptions{BlockBytes: 1 << 10})
	must(t, err)
	for it := table.ByOrdinal(sstable.ScanOptions{Leaves: true}); ; {
		if !it.Next() {
			must(t, it.Err())
			break
		}
		e := *it.Entry()
		e.Sum()
		must(t, w.Add(&e))
	}
	w.SetLedgerNodes(nodes)
	_, err = w.Finish()
	must(t, err)
	return out.Bytes(), true
}

// TestFlippedBits flips a bit at a sample of the bytes of every file: each one is found, in that file.
func TestFlippedBits(t *testing.T) {
	d := makeDirectory(t, "", nil)
	step := map[string]int64{".seg": 307, "MANIFEST": 311, ".log": 2003}
	for _, name := range slices.Concat(list(t, d.mem, "segments", ".seg"), []string{"MANIFEST"}, list(t, d.mem, "wal", ".log")) {
		end := int64(len(read(t, d.mem, name)))
		every := step[path.Base(name)]
		if every == 0 {
			every = step[path.Ext(name)]
		}
		if path.Ext(name) == ".log" {
			end = used(t, d.mem, path.Base(name)) // what stands behind it counts for nothing
		}
		for off := int64(0); off < end; off += every {
			mem := clone(d.mem)
			flip(t, mem, name, off)
			r := check(t, mem)
			if r.Damaged == 0 {
				t.Fatalf("%s at %d is not found:%s", name, off, r.text())
			}
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == Damage && f.File == name }) {
				t.Fatalf("%s at %d is not named:%s", name, off, r.text())
			}
		}
	}
}

// used is where the last batch of a log file ends.
func used(t testing.TB, mem *vfs.Mem, name string) int64 {
	t.Helper()
	in, err := wal.Inspect(wal.InspectOptions{FS: mem, Dir: path.Join(testDir, "wal")})
	must(t, err)
	for _, f := range in.Files {
		if f.Name == name {
			return f.Used
		}
	}
	t.Fatalf("no file %s", name)
	return 0
}

// TestUnreadable: what the operating system does not give is told from damage, and ends nothing.
func TestUnreadable(t *testing.T) {
	d := makeDirectory(t, "", nil)
	segments := list(t, d.mem, "segments", ".seg")
	fsys := vfs.NewInject(d.mem, func(op vfs.Op) vfs.Decision {
		if op.Kind == vfs.OpReadAt && op.Name == path.Join(testDir, segments[1]) {
			return vfs.Decision{Err: errors.New("no such luck")}
		}
		return vfs.Decision{}
	})
	r := check(t, fsys)
	if r.Clean || r.Damaged > 0 || r.Unread != 1 || !r.has(Unreadable, KindUnreadable, segments[1]) {
		t.Errorf("%+v%s", r, r.text())
	}
}

func TestNoDirectory(t *testing.T) {
	mem := vfs.NewMem()
	must(t, mem.MkdirAll("empty"))
	if _, err := Check(context.Background(), Options{FS: mem, Dir: "empty"}); !errors.Is(err, ErrNoDirectory) {
		t.Error(err)
	}
	if _, err := Check(context.Background(), Options{FS: mem, Dir: "nowhere"}); err == nil {
		t.Error("a directory that is not there is checked")
	}
	d := makeDirectory(t, "", nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Check(ctx, Options{FS: d.mem, Dir: testDir}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestAgreedRoots: a root that the members agreed on is held against the entries.
func TestAgreedRoots(t *testing.T) {
	d := makeDirectory(t, "", nil)
	for _, size := range []uint64{1, 100, d.size} {
		for _, right := range []bool{true, false} {
			c := newChecker(context.Background(), Options{FS: d.mem, Dir: testDir})
			c.commands.checks = []ledgerRoot{{size: d.size + 1}, {size: size, index: 7, root: d.rootAt(t, size)}}
			if !right {
				c.commands.checks[1].root[3] ^= 1
			}
			must(t, c.run())
			if c.report.Clean != right || c.report.has(Damage, KindLedgerTree, "segments") == right {
				t.Errorf("size %d, right %v:%s", size, right, c.report.text())
			}
		}
	}
}

// rootAt is the root of the first entries, as a ledger opened on the directory has it.
func (d *made) rootAt(t testing.TB, size uint64) merkle.Hash {
	t.Helper()
	id, _, err := node.ReadIdentity(d.mem, testDir)
	must(t, err)
	l, err := ledger.Open(ledger.Options{FS: clone(d.mem), Dir: testDir, ClusterID: id.ClusterID, Manual: true})
	must(t, err)
	defer l.Close()
	root, err := l.RootAt(size)
	must(t, err)
	return root
}

// TestSameDirectory holds the test's own ground: two directories of one cluster with other entries at the same seqs.
func TestSameDirectory(t *testing.T) {
	a, b := makeDirectory(t, "", nil), makeDirectory(t, "other", nil)
	if a.root == b.root || a.size != b.size || !slices.Equal(list(t, a.mem, "segments", ""), list(t, b.mem, "segments", "")) {
		t.Fatalf("%d entries of %s, %d of %s", a.size, a.root, b.size, b.root)
	}
	if !bytes.Equal(read(t, a.mem, "IDENTITY"), read(t, b.mem, "IDENTITY")) {
		t.Fatal("two identities")
	}
}
