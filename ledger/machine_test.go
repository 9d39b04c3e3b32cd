package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	testCluster = "c1"
	testWindow  = 3
)

// testOptions make everything small, so that few commands go through many seals.
func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Dir: "data", ClusterID: testCluster, SealBytes: 2_000, SealAge: -1, BlockCacheBytes: 1 << 10,
		BlockBytes: 200, Manual: true, CompactFanIn: -1, idempotencyWindow: testWindow,
		Now: func() time.Time { return time.UnixMicro(0) }}
}

// machine is a ledger beside its model, and the log that both were fed.
type machine struct {
	mem     *vfs.Mem
	opts    Options
	l       *Ledger
	m       *model
	clock   int64
	log     [][]byte
	results []Result // of log
	records [][]byte // record commands that were ever wanted
	merges  int      // decided
	open    []pinned

	waiting []waitingWrite // checked, and not applied

	store   *objects
	objects map[manifest.Range]manifest.Object // of the recorded segments
}

// pinned is an iterator left open while the ledger goes on, and what it still has to give.
type pinned struct {
	it     Iterator
	want   []*Entry
	values bool
	leaf   bool
	what   string
}

func (x *machine) reopen(t *rapid.T, mem *vfs.Mem) {
	x.mem = mem
	x.opts.FS = mem
	l, err := Open(x.opts)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	x.l = l
	from := l.AppliedIndex()
	if index, _, _ := l.SealPoint(); index != from {
		t.Fatalf("opened at %d with a seal point at %d", from, index)
	}
	var rest []Committed
	for i := from; i < uint64(len(x.log)); i++ {
		rest = append(rest, Committed{i + 1, 1, x.log[i]})
	}
	for i, got := range applyInBatches(t, l, rest) {
		if at := from + uint64(i); !reflect.DeepEqual(got, x.results[at]) {
			t.Fatalf("replay of command %d gives %+v, it gave %+v", at+1, got, x.results[at])
		}
	}
}

// apply puts a command into the log and holds its result against the model's.
func (x *machine) apply(t *rapid.T, data []byte, want func(time int64) Result) {
	// Now and then a leader's clock is behind that of the one before.
	x.clock += int64(rapid.IntRange(-2, 5).Draw(t, "clock"))
	x.clock = max(x.clock, 1)
	data = bytes.Clone(data)
	StampTime(data, x.clock)
	x.log = append(x.log, data)
	got, err := x.l.Apply(uint64(len(x.log)), 1, data)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	if want := want(x.clock); !reflect.DeepEqual(got, want) {
		t.Fatalf("apply gives %+v (%v), want %+v (%v)", got.Receipt, got.Err, want.Receipt, want.Err)
	}
	x.results = append(x.results, got)
}

func drawKey(t *rapid.T) []byte {
	keys := []string{"a", "a\x00", "a/b", "a/c", "ab", "b", "\x00", "\xff", "\xff\xff"}
	return []byte(rapid.SampledFrom(keys).Draw(t, "key"))
}

func (x *machine) drawConditions(t *rapid.T, key []byte) (out []Condition) {
	if rapid.IntRange(0, 3).Draw(t, "conditional") > 0 {
		return nil
	}
	for range rapid.IntRange(1, 2).Draw(t, "conditions") {
		c := Condition{Kind: rapid.SampledFrom([]ConditionKind{IfMatch, IfNoneMatch}).Draw(t, "kind"),
			Any: rapid.Bool().Draw(t, "any")}
		for range rapid.IntRange(0, 3).Draw(t, "tags") {
			c.Seqs = append(c.Seqs, x.drawSeq(t))
		}
		if newest := x.m.version(key, x.m.size()); newest != nil && rapid.Bool().Draw(t, "right tag") {
			c.Seqs = append(c.Seqs, newest.Seq)
		}
		out = append(out, c)
	}
	return out
}

// drawSeq draws a seq that is there, most often, or one a little beyond the end.
func (x *machine) drawSeq(t *rapid.T) uint64 {
	return rapid.Uint64Range(0, x.m.size()+1).Draw(t, "seq")
}

func (x *machine) write(t *rapid.T) { x.submit(t, x.drawWrite(t)) }

func (x *machine) drawWrite(t *rapid.T) *Command {
	cmd := &Command{Principal: rapid.SampledFrom([]string{"", "app"}).Draw(t, "principal")}
	if rapid.IntRange(0, 2).Draw(t, "idempotent") == 0 {
		cmd.IdempotencyKey = rapid.SampledFrom([]string{"i1", "i2", "i3", "i4", "i5"}).Draw(t, "idempotency key")
		cmd.RequestHash = merkle.Hash{byte(rapid.IntRange(1, 2).Draw(t, "request"))}
	}
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 4}).Draw(t, "ops") {
		op := WriteOp{Op: tlog.OpPut, Key: drawKey(t)}
		op.Conditions = x.drawConditions(t, op.Key)
		if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
			op.Op = tlog.OpDelete
		} else {
			op.ContentType = rapid.SampledFrom([]string{"", "text/plain"}).Draw(t, "content type")
			op.Value = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")
		}
		cmd.Ops = append(cmd.Ops, op)
	}
	return cmd
}

// look begins a write, which looks up what it depends on, and is applied at once or after whatever happens meanwhile.
func (x *machine) look(t *rapid.T) {
	cmd := x.drawWrite(t)
	found, err := x.l.Check(context.Background(), cmd)
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	x.waiting = append(x.waiting, waitingWrite{cmd, found})
	i := rapid.IntRange(-2, len(x.waiting)-1).Draw(t, "proposed")
	if i < 0 {
		return
	}
	w := x.waiting[i]
	x.waiting = slices.Delete(x.waiting, i, i+1)
	x.submitFound(t, w.cmd, w.found)
}

// bulk writes more versions than a walk takes out of a memtable at once.
func (x *machine) bulk(t *rapid.T) {
	if x.m.size() > 1_000 {
		t.Skip("large enough")
	}
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	cmd := &Command{}
	keys := rapid.SampledFrom([]int{1, 3, 600}).Draw(t, "keys")
	for range rapid.IntRange(250, 700).Draw(t, "count") {
		cmd.Ops = append(cmd.Ops, WriteOp{Op: tlog.OpPut, Key: fmt.Appendf(nil, "a/%03d", r.IntN(keys)),
			Value: []byte{byte(r.Uint32())}})
	}
	x.submit(t, cmd)
}

func (x *machine) submit(t *rapid.T, cmd *Command) { x.submitFound(t, cmd, Findings{}) }

func (x *machine) submitFound(t *rapid.T, cmd *Command, found Findings) {
	data, err := EncodeFound(cmd, found)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	x.apply(t, data, func(time int64) Result { return x.m.write(cmd, time) })
}

// seal proposes a seal: of whatever is active, of the memtable that is, or of one that is not active any more.
func (x *machine) seal(t *rapid.T) {
	first := rapid.SampledFrom([]uint64{sealAny, sealAny, x.m.active, x.m.active / 2, x.m.size()}).Draw(t, "first")
	x.apply(t, encodeSeal(first), func(int64) Result {
		x.m.seal(first)
		return Result{Receipt: Receipt{FirstSeq: x.m.size()}}
	})
}

// propose puts what the ledger wants into the log, perhaps not all of it.
func (x *machine) propose(t *rapid.T) {
	for _, w := range x.l.Wanted(time.UnixMicro(x.clock)) {
		if rapid.IntRange(0, 3).Draw(t, "lost") == 0 {
			continue
		}
		if w.Key.Kind == kindSeal {
			x.apply(t, w.Data, func(int64) Result {
				x.m.seal(w.Key.First)
				return Result{Receipt: Receipt{FirstSeq: x.m.size()}}
			})
			continue
		}
		if w.Key.Kind == kindMerge {
			x.merge(t, manifest.Range{FirstSeq: w.Key.First, LastSeq: w.Key.Last})
			continue
		}
		x.records = append(x.records, w.Data)
		x.record(t, w.Data)
	}
}

func (x *machine) merge(t *rapid.T, r manifest.Range) {
	x.apply(t, encodeMerge(r), func(int64) (res Result) {
		if x.m.merge(r) {
			res.Receipt.Count = 1
			x.merges++
		}
		return res
	})
}

// mergeAny proposes a merge that nobody has planned: of some recorded segments, or of what can be none.
func (x *machine) mergeAny(t *rapid.T) {
	if len(x.m.parts) == 0 {
		t.Skip("nothing is recorded")
	}
	parts := x.m.parts[rapid.IntRange(0, len(x.m.parts)-1).Draw(t, "from"):]
	r := span2(parts[0], parts[min(len(parts)-1, rapid.IntRange(0, 3).Draw(t, "more"))])
	r.FirstSeq += uint64(max(0, rapid.IntRange(-9, 1).Draw(t, "off")))
	r.LastSeq += uint64(max(0, rapid.IntRange(-9, 1).Draw(t, "off")))
	x.merge(t, r)
}

func span2(a, b manifest.Range) manifest.Range {
	return manifest.Range{FirstSeq: a.FirstSeq, LastSeq: b.LastSeq}
}

func (x *machine) compact(t *rapid.T) {
	if _, err := x.l.CompactStep(); err != nil {
		t.Fatalf("compact: %v", err)
	}
}

func (x *machine) record(t *rapid.T, data []byte) {
	d, err := tlog.ParseDescriptor(data[commandHeaderBytes:])
	if err != nil {
		t.Fatal(err)
	}
	x.apply(t, data, func(time int64) Result {
		x.m.record(d, time)
		return Result{}
	})
}

// again proposes a record that was proposed before, or was wanted and lost.
func (x *machine) again(t *rapid.T) {
	if len(x.records) == 0 {
		t.Skip("nothing was recorded")
	}
	x.record(t, rapid.SampledFrom(x.records).Draw(t, "record"))
}

func (x *machine) flush(t *rapid.T) {
	if _, err := x.l.FlushStep(); err != nil {
		t.Fatalf("flush: %v", err)
	}
}

// settle seals and does all that follows from it.
func (x *machine) settle(t *rapid.T) {
	x.apply(t, SealNow(), func(int64) Result {
		x.m.seal(sealAny)
		return Result{Receipt: Receipt{FirstSeq: x.m.size()}}
	})
	for range 2*len(x.m.sealed) + 1 {
		if err := flushAll(x.l); err != nil {
			t.Fatalf("flush: %v", err)
		}
		if err := compactAll(x.l); err != nil {
			t.Fatalf("compact: %v", err)
		}
		x.propose(t)
	}
}

// compactAll compacts until nothing is left to do.
func compactAll(l *Ledger) error {
	for {
		if worked, err := l.CompactStep(); !worked || err != nil {
			return err
		}
	}
}

// restart ends this life of the ledger, cleanly or by a power cut.
func (x *machine) restart(t *rapid.T) {
	keep := rapid.SampledFrom([]vfs.Keep{vfs.KeepAll, vfs.KeepNone, vfs.KeepRandom}).Draw(t, "keep")
	seed := rapid.Uint64().Draw(t, "seed")
	mem := x.mem.CrashClone(vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(seed, 0))})
	if err := x.l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if _, err := x.l.Get([]byte("a"), Selector{}); !errors.Is(err, ErrClosed) {
		t.Fatalf("get from a closed ledger: %v", err)
	}
	x.reopen(t, mem)
}

// check holds state and root against the model.
func (x *machine) check(t *rapid.T) {
	size, root := x.l.Root()
	if size != x.m.size() || root != x.m.roots[size] || x.l.NextSeq() != size {
		t.Fatalf("%d entries with root %v, want %d with %v", size, root, x.m.size(), x.m.tree.Root())
	}
	info := x.l.Manifest()
	if through, err := x.l.Installed(); err != nil || through != info.TreeSize {
		t.Fatalf("installed %d, manifest %d, %v", through, info.TreeSize, err)
	}
	next := uint64(0)
	for i, s := range info.Segments {
		root, ok := x.m.ever[manifest.Range{FirstSeq: s.FirstSeq, LastSeq: s.LastSeq}]
		if s.FirstSeq != next || !ok || s.Root != root {
			t.Fatalf("segment %d is %+v; recorded %v with root %v", i, s, ok, root)
		}
		next = s.LastSeq + 1
	}
	p := x.l.partition.Load()
	for i, r := range p.recorded {
		want := x.m.parts[i]
		if r.FirstSeq != want.FirstSeq || r.LastSeq != want.LastSeq || r.Root != x.m.ever[want] || r.Object != x.objects[want] {
			t.Fatalf("recorded segment %d is %+v, want %+v", i, r, want)
		}
	}
	if len(p.recorded) != len(x.m.parts) || len(p.merges) != len(x.m.merges) {
		t.Fatalf("%+v, want %+v and merges %+v", p, x.m.parts, x.m.merges)
	}
	x.checkFiles(t)
	if info.TreeSize != next {
		t.Fatalf("manifest counts %d entries, its segments have %d", info.TreeSize, next)
	}
}

func (x *machine) finish(t *rapid.T) {
	for _, p := range x.open {
		if err := walked(p.it, p.want, p.values, p.leaf); err != nil {
			t.Fatalf("%s: %v", p.what, err)
		}
	}
	x.open = nil
	it, err := x.l.Entries(0, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := walked(it, x.m.from(0), true, true); err != nil {
		t.Fatalf("entries: %v", err)
	}
	if err := x.l.Close(); err != nil {
		t.Fatal(err)
	}
}

// valueOf is a value whose bytes tell its seed; shared by the other tests of this package.
func valueOf(seed uint64, size int) []byte {
	b := make([]byte, 0, size+sha256.Size)
	for i := byte(0); len(b) < size; i++ {
		sum := sha256.Sum256([]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), i})
		b = append(b, sum[:]...)
	}
	return b[:size]
}
