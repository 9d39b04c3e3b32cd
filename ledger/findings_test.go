package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/tlog"
)

// farPair is a ledger that has everything in files beside one whose segments are all in a store, which is away whenever
// commands are applied; and the model of both.
type farPair struct {
	near, far *replica
	store     *objects
	m         *model
	index     uint64
	cold      uint64 // entries in far's segments
	waiting   []waitingWrite
}

// waitingWrite is a command on its way.
type waitingWrite struct {
	cmd   *Command
	found Findings
}

func newFarPair(t testing.TB) *farPair {
	x := &farPair{store: newObjects(), m: newModel(testWindow)}
	edit := func(o *Options) { o.Cold, o.BlockCacheBytes = x.store, -1 }
	x.near, x.far = newReplica(t, edit), newReplica(t, edit)
	return x
}

// apply applies a command on both ledgers. Where the far one cannot without the store, it gets it, and stalled is true.
func (x *farPair) apply(t testing.TB, data []byte) (res Result, stalled bool) {
	t.Helper()
	x.index++
	StampTime(data, int64(x.index))
	res = mustApply(t, x.near.l, x.index, data)
	x.store.setAway(true)
	got, err := x.far.l.Apply(x.index, 1, data)
	x.store.setAway(false)
	if cold := (*ColdError)(nil); errors.As(err, &cold) {
		stalled = true
		got, err = x.far.l.Apply(x.index, 1, data)
	}
	if err != nil || !reflect.DeepEqual(got, res) {
		t.Fatalf("command %d gives %+v (%v), and %+v (%v) where the store is away, %v", x.index, res.Receipt, res.Err,
			got.Receipt, got.Err, err)
	}
	return res, stalled
}

func (x *farPair) write(t testing.TB, cmd *Command, found Findings) (res Result, stalled bool) {
	t.Helper()
	data, err := EncodeFound(cmd, found)
	if err != nil {
		t.Fatal(err)
	}
	res, stalled = x.apply(t, data)
	if want := x.m.write(cmd, int64(x.index)); !reflect.DeepEqual(res, want) {
		t.Fatalf("%+v with %+v gives %+v (%v), want %+v (%v)", cmd.Ops, found, res.Receipt, res.Err, want.Receipt, want.Err)
	}
	return res, stalled
}

// check looks a command's findings up on both, out of the store as in manual mode and as otherwise.
func (x *farPair) check(t testing.TB, cmd *Command) Findings {
	t.Helper()
	found, err := x.near.l.Check(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	for _, manual := range []bool{false, true} {
		x.far.l.opts.Manual = manual
		if other, err := x.far.l.Check(t.Context(), cmd); err != nil || !reflect.DeepEqual(found, other) {
			t.Fatalf("findings are %+v, and %+v out of the store, %v", found, other, err)
		}
	}
	return found
}

func (x *farPair) seal(t testing.TB) {
	t.Helper()
	x.apply(t, SealNow())
	x.m.seal(sealAny)
}

// settle puts all entries there are into segments, and the far ledger's into the store.
func (x *farPair) settle(t testing.TB) {
	t.Helper()
	x.seal(t)
	x.flush(t)
	for _, d := range x.near.l.BuiltRoots() {
		x.apply(t, RecordWant(d).Data)
		x.m.record(d, int64(x.index))
		x.cold = d.LastSeq + 1
	}
	x.flush(t)
	for _, g := range x.near.l.Untiered() {
		o, err := x.store.upload(x.near.mem, x.near.l.segmentFile(infoOf(g).ID), g)
		if err != nil {
			t.Fatal(err)
		}
		x.apply(t, TieredWant(g, o).Data)
	}
	evictAll(t, x.far.l)
}

func (x *farPair) flush(t testing.TB) {
	t.Helper()
	if err := errors.Join(flushAll(x.near.l), flushAll(x.far.l)); err != nil {
		t.Fatal(err)
	}
}

func op(key string, conditions ...Condition) WriteOp {
	return WriteOp{Op: tlog.OpPut, Key: []byte(key), Value: []byte(key), Conditions: conditions}
}

func deletion(key string) WriteOp { return WriteOp{Op: tlog.OpDelete, Key: []byte(key)} }

func (x *farPair) drawAsking(t *rapid.T) *Command {
	cmd := &Command{}
	for range rapid.SampledFrom([]int{1, 1, 2, 4}).Draw(t, "ops") {
		w := op(fmt.Sprintf("k/%d", rapid.IntRange(0, 9).Draw(t, "key")))
		if rapid.IntRange(0, 3).Draw(t, "conditional") > 0 {
			c := Condition{Kind: rapid.SampledFrom([]ConditionKind{IfMatch, IfNoneMatch}).Draw(t, "kind"),
				Any: rapid.Bool().Draw(t, "any")}
			if newest := x.m.version(w.Key, x.m.size()); newest != nil && rapid.Bool().Draw(t, "right tag") {
				c.Seqs = []uint64{newest.Seq}
			}
			w.Conditions = []Condition{c}
		}
		if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
			w.Op, w.Value = tlog.OpDelete, nil
		}
		cmd.Ops = append(cmd.Ops, w)
	}
	if rapid.IntRange(0, 3).Draw(t, "idempotent") == 0 {
		cmd.IdempotencyKey = rapid.SampledFrom([]string{"i1", "i2"}).Draw(t, "idempotency key")
	}
	return cmd
}

// TestFindingsDecide: writes whose conditions depend on what is in the store only come out alike on a replica that cannot
// reach the store, on one that has all of it, and in the model, however long they were under way. Only who has to look into
// an evicted segment that is newer than the findings ever waits.
func TestFindingsDecide(t *testing.T) {
	decided, stalls := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		x := newFarPair(t)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				x.settle(t)
			case 1:
				x.seal(t)
			case 2:
				x.write(t, &Command{Ops: []WriteOp{op(fmt.Sprintf("k/%d", rapid.IntRange(0, 9).Draw(rt, "key")))}}, Findings{})
			case 3, 4, 5:
				cmd := x.drawAsking(rt)
				x.waiting = append(x.waiting, waitingWrite{cmd, x.check(t, cmd)})
			default:
				if len(x.waiting) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(x.waiting)-1).Draw(rt, "which")
				w := x.waiting[i]
				x.waiting = append(x.waiting[:i:i], x.waiting[i+1:]...)
				cold := x.cold
				_, stalled := x.write(t, w.cmd, w.found)
				if stalled && w.found.Size >= cold {
					rt.Fatalf("a write that was checked at size %d waits for a store that has %d entries", w.found.Size, cold)
				}
				if stalled {
					stalls++
				}
				for _, f := range w.found.Newest {
					if f.Exists && f.Seq < cold && !stalled {
						decided++
					}
				}
			}
		}
		nearSize, nearRoot := x.near.l.Root()
		if size, root := x.far.l.Root(); size != nearSize || root != nearRoot || root != x.m.tree.Root() {
			rt.Fatalf("%d entries with root %v, and %d with %v", nearSize, nearRoot, size, root)
		}
		if err := errors.Join(x.near.l.Close(), x.far.l.Close()); err != nil {
			rt.Fatal(err)
		}
	})
	least := 20
	if testing.Short() { // a fifth of the cases
		least = 4
	}
	if decided < least && !t.Failed() {
		t.Errorf("findings decided %d times; there were %d stalls", decided, stalls)
	}
}

// TestFindingsEnd: findings are believed of what is older than their size, and of nothing else.
func TestFindingsEnd(t *testing.T) {
	anyone := []Condition{{Kind: IfMatch, Any: true}}
	nobody := []Condition{{Kind: IfNoneMatch, Any: true}}
	is := func(seq uint64) []Condition { return []Condition{{Kind: IfMatch, Seqs: []uint64{seq}}} }
	found := func(size uint64, newest ...Finding) Findings { return Findings{Size: size, Newest: newest} }
	live := func(seq uint64) Finding { return Finding{Exists: true, Live: true, Seq: seq} }
	dead := func(seq uint64) Finding { return Finding{Exists: true, Seq: seq} }
	for name, c := range map[string]struct {
		since []WriteOp // appended after the findings, from entry 3 on
		ops   []WriteOp
		found Findings
		want  error
	}{
		"nothing new":         {nil, []WriteOp{op("k", is(0)...)}, found(3, live(0)), nil},
		"first entry since":   {[]WriteOp{op("new")}, []WriteOp{op("new", nobody...)}, found(3, Finding{}), &PreconditionError{Exists: true, Seq: 3}},
		"replaced since":      {[]WriteOp{op("k")}, []WriteOp{op("k", is(0)...)}, found(3, live(0)), &PreconditionError{Exists: true, Seq: 3}},
		"replaced, as wanted": {[]WriteOp{op("k")}, []WriteOp{op("k", is(3)...)}, found(3, live(0)), nil},
		"deleted since":       {[]WriteOp{deletion("k")}, []WriteOp{op("k", anyone...)}, found(3, live(0)), &PreconditionError{Exists: true, Seq: 3}},
		"deleted, and free":   {[]WriteOp{deletion("k")}, []WriteOp{op("k", nobody...)}, found(3, live(0)), nil},
		"deleted twice":       {[]WriteOp{deletion("k")}, []WriteOp{deletion("k")}, found(3, live(0)), &NotFoundError{Tombstone: true, Seq: 3}},
		"tombstone":           {nil, []WriteOp{deletion("gone")}, found(3, dead(2)), &NotFoundError{Tombstone: true, Seq: 2}},
		"nothing to delete":   {nil, []WriteOp{deletion("never")}, found(3, Finding{}), &NotFoundError{}},
		"a key twice":         {nil, []WriteOp{deletion("k"), op("k", is(0)...), op("k")}, found(3, live(0), live(0)), nil},
		"the second fails":    {nil, []WriteOp{op("x"), op("k", anyone...), op("gone", anyone...)}, found(3, live(0), dead(2)), &PreconditionError{OpIndex: 2, Exists: true, Seq: 2}},
		// What a replica has by chance of what is older must not matter: others do not have it.
		"believed":                              {nil, []WriteOp{deletion("gone")}, found(3, live(1)), nil},
		"believed, behind the last of the size": {[]WriteOp{op("k")}, []WriteOp{op("k", is(1)...)}, found(4, live(1)), nil},
		// No member finds this.
		"of more than there is": {nil, []WriteOp{deletion("gone")}, found(4, live(1)), &NotFoundError{Tombstone: true, Seq: 2}},
	} {
		run := func(t *testing.T, sealed bool) {
			r := newReplica(t, nil)
			index := uint64(0)
			apply := func(ops []WriteOp, f Findings) Result {
				index++
				data, err := EncodeFound(&Command{Ops: ops}, f)
				if err != nil {
					t.Fatal(err)
				}
				return mustApply(t, r.l, index, data)
			}
			apply([]WriteOp{op("k"), op("gone")}, Findings{})
			apply([]WriteOp{deletion("gone")}, Findings{})
			if c.since != nil {
				if res := apply(c.since, Findings{}); res.Err != nil {
					t.Fatal(res.Err)
				}
			}
			if sealed {
				index++
				mustApply(t, r.l, index, SealNow())
			}
			if res := apply(c.ops, c.found); !reflect.DeepEqual(res.Err, c.want) {
				t.Errorf("%+v (%v), want %v", res.Receipt, res.Err, c.want)
			}
		}
		t.Run(name, func(t *testing.T) { run(t, false) })
		t.Run(name+", sealed", func(t *testing.T) { run(t, true) })
	}
}

// TestCheck: what a write depends on is looked up before it is proposed, and where the store is away that is said.
func TestCheck(t *testing.T) {
	x := newFarPair(t)
	empty, err := x.far.l.Check(t.Context(), &Command{Ops: []WriteOp{deletion("a")}})
	if err != nil || empty.Newest != nil {
		t.Fatalf("an empty ledger finds %+v, %v", empty, err)
	}
	x.write(t, &Command{Ops: []WriteOp{op("a"), op("b"), op("c")}}, Findings{})
	x.write(t, &Command{Ops: []WriteOp{deletion("b")}}, Findings{})
	x.settle(t) // and a record, entry 4
	x.write(t, &Command{Ops: []WriteOp{op("c")}}, Findings{})
	all := &Command{Ops: []WriteOp{op("a"), deletion("a"), deletion("b"), deletion("c"), op("c"), deletion("never")}}
	want := Findings{6, []Finding{{true, true, 0}, {true, false, 3}, {true, true, 5}, {}}}
	if got := x.check(t, all); !reflect.DeepEqual(got, want) {
		t.Fatalf("found %+v, want %+v", got, want)
	}
	x.store.setAway(true)
	for key, away := range map[string]bool{"a": true, "b": true, "c": false, "never": false} {
		var cold *ColdError
		got, err := x.far.l.Check(t.Context(), &Command{Ops: []WriteOp{deletion(key)}})
		if away != errors.As(err, &cold) || away != errors.Is(err, errAway) || !away && err != nil || away && got.Newest != nil {
			t.Errorf("without the store %q is found %+v, %v", key, got, err)
		}
	}
	if got, err := x.far.l.Check(t.Context(), &Command{Ops: []WriteOp{op("a")}}); err != nil || got.Newest != nil {
		t.Errorf("an unconditional put finds %+v, %v", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, manual := range []bool{true, false} {
		x.far.l.opts.Manual = manual
		if _, err := x.far.l.Check(t.Context(), all); !errors.Is(err, errAway) {
			t.Errorf("all of it without the store: %v", err)
		}
		if _, err := x.far.l.Check(ended, all); !errors.Is(err, context.Canceled) {
			t.Errorf("for a caller who has gone: %v", err)
		}
	}
}

// TestFindingsBesideNewSegment: a write that was under way while a segment was sealed and evicted is applied without the
// store when the entries since are in other blocks than its key. If one is in the same, only the store can tell.
func TestFindingsBesideNewSegment(t *testing.T) {
	for last, stalls := range map[string]bool{"z": false, "k": true} {
		x := newFarPair(t)
		x.write(t, &Command{Ops: []WriteOp{{Op: tlog.OpPut, Key: []byte("k"), Value: valueOf(1, 500)},
			{Op: tlog.OpPut, Key: []byte("z"), Value: valueOf(2, 500)}}}, Findings{})
		cmd := &Command{Ops: []WriteOp{op("k", Condition{Kind: IfMatch, Seqs: []uint64{0}})}}
		found := x.check(t, cmd)
		x.write(t, &Command{Ops: []WriteOp{op(last)}}, Findings{})
		x.settle(t)
		if res, stalled := x.write(t, cmd, found); stalled != stalls {
			t.Errorf("with %q written meanwhile: %+v (%v), and it waits: %v", last, res.Receipt, res.Err, stalled)
		}
	}
}
