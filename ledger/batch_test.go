package ledger

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// drawNext draws a command that is likely to depend on the few before it: size is about how many entries there are.
func drawNext(t *rapid.T, size uint64) []byte {
	switch rapid.IntRange(0, 24).Draw(t, "command") {
	case 0:
		return encodeSeal(rapid.SampledFrom([]uint64{sealAny, sealAny, 0, size}).Draw(t, "first"))
	case 1:
		cmd := &Command{}
		for i := range rapid.IntRange(hashRun-1, 3*hashRun).Draw(t, "ops") {
			key := fmt.Appendf(nil, "alike up to here, and then not: %d", i*7%50)
			cmd.Ops = append(cmd.Ops, WriteOp{Op: tlog.OpPut, Key: key, Value: []byte{byte(i)}})
		}
		return mustEncodeIn(t, cmd)
	}
	cmd := &Command{Principal: rapid.SampledFrom([]string{"", "app"}).Draw(t, "principal")}
	if rapid.IntRange(0, 2).Draw(t, "idempotent") == 0 {
		cmd.IdempotencyKey = rapid.SampledFrom([]string{"i1", "i2", "i3", "i4", "i5"}).Draw(t, "idempotency key")
		cmd.RequestHash = merkle.Hash{byte(rapid.IntRange(1, 2).Draw(t, "request"))}
	}
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 4}).Draw(t, "ops") {
		op := WriteOp{Op: tlog.OpPut, Key: drawMemKey(t)}
		if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
			seq := size - min(size, rapid.Uint64Range(0, 8).Draw(t, "tag"))
			op.Conditions = []Condition{{Kind: rapid.SampledFrom([]ConditionKind{IfMatch, IfNoneMatch}).Draw(t, "kind"),
				Any: rapid.Bool().Draw(t, "any"), Seqs: []uint64{seq}}}
		}
		if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
			op.Op = tlog.OpDelete
		} else {
			op.Value = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")
		}
		cmd.Ops = append(cmd.Ops, op)
	}
	return mustEncodeIn(t, cmd)
}

func mustEncodeIn(t *rapid.T, cmd *Command) []byte {
	data, err := EncodeWrite(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestBatchesAgree: commands applied in batches, cut anywhere, come to what they come to one by one: results, seal points,
// roots to be agreed on, and whatever a reader finds as of any seq. So do the ledger's own commands among them.
func TestBatchesAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		small := func(o *Options) { o.CheckEvery = 16 }
		single, batched := newReplica(t, small), newReplica(t, small)
		batched.l.pending.links.run = rapid.SampledFrom([]int{1, 20, linkRun}).Draw(rt, "link run")
		var log []Committed
		var want []Result
		for range rapid.IntRange(1, 3).Draw(rt, "stretches") {
			var stretch [][]byte
			add := func(data []byte) {
				StampTime(data, int64(len(log)/3))
				stretch = append(stretch, data)
				log = append(log, Committed{uint64(len(log) + 1), 7, data})
				result, err := single.l.Apply(uint64(len(log)), 7, bytes.Clone(data))
				if err != nil {
					rt.Fatal(err)
				}
				want = append(want, result)
			}
			for range rapid.IntRange(1, 20).Draw(rt, "commands") {
				add(drawNext(rt, single.l.NextSeq()))
			}
			if err := flushAll(single.l); err != nil {
				rt.Fatal(err)
			}
			for _, w := range append(single.l.Wanted(time.UnixMicro(0)), single.l.checksWanted()...) {
				add(w.Data)
				add(drawNext(rt, single.l.NextSeq()))
			}
		}
		got := applyInBatches(rt, batched.l, log)
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				rt.Fatalf("command %d gives %+v in a batch and %+v alone", i+1, got[i], want[i])
			}
		}
		compareLedgers(rt, batched.l, single.l)
		for _, r := range []*replica{single, batched} {
			if err := r.l.Close(); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// checksWanted are checks of the roots that are to be agreed on, as by a sole voter.
func (l *Ledger) checksWanted() (wants []Want) {
	for _, c := range l.PendingChecks() {
		wants = append(wants, CheckWant(c))
	}
	return wants
}

func applyInBatches(t *rapid.T, l *Ledger, log []Committed) (got []Result) {
	for rest := log; len(rest) > 0; {
		n := rapid.IntRange(1, min(len(rest), 50)).Draw(t, "batch")
		results, err := l.ApplyBatch(rest[:n], nil)
		if err != nil || len(results) != n {
			t.Fatalf("%d results of %d commands: %v", len(results), n, err)
		}
		if l.AppliedIndex() != rest[n-1].Index {
			t.Fatalf("applied up to %d after entry %d", l.AppliedIndex(), rest[n-1].Index)
		}
		got, rest = append(got, results...), rest[n:]
	}
	return got
}

// compareLedgers holds two ledgers against each other that differ in what is flushed at most.
func compareLedgers(t *rapid.T, a, b *Ledger) {
	sizeA, rootA := a.Root()
	if sizeB, rootB := b.Root(); sizeA != sizeB || rootA != rootB || a.NextSeq() != sizeA || b.NextSeq() != sizeB {
		t.Fatalf("%d entries with root %v, and %d with %v", sizeA, rootA, sizeB, rootB)
	}
	if x, y := a.PendingChecks(), b.PendingChecks(); !reflect.DeepEqual(x, y) {
		t.Fatalf("roots to be agreed on are %v and %v", x, y)
	}
	// b's seal points stand in its manifest once they are flushed.
	for i, l := range []*Ledger{a, b} {
		if err := flushAll(l); err != nil {
			t.Fatalf("ledger %d: %v", i, err)
		}
	}
	if x, y := a.peek().state, b.peek().state; !reflect.DeepEqual(x, y) {
		t.Fatalf("manifests are %+v and %+v", x, y)
	}
	if sizeA == 0 {
		return
	}
	keys := append(scannedKeys(t, b), []byte("none"))
	for range 10 {
		seq := rapid.Uint64Range(0, sizeA-1).Draw(t, "as of")
		for _, key := range keys {
			x, errX := a.version(key, Selector{Kind: AsOfSeq, Seq: seq}, false)
			y, errY := b.version(key, Selector{Kind: AsOfSeq, Seq: seq}, false)
			if errX != nil || errY != nil || !reflect.DeepEqual(x, y) {
				t.Fatalf("%q as of %d is %+v (%v) and %+v (%v)", key, seq, x, errX, y, errY)
			}
		}
		o := ScanOptions{AsOf: seq, Reverse: seq%2 == 0, Leaves: true}
		if x, y := scanAll(t, a, o), scanAll(t, b, o); !reflect.DeepEqual(x, y) {
			t.Fatalf("a scan as of %d gives %+v and %+v", seq, x, y)
		}
	}
}

func scannedKeys(t *rapid.T, l *Ledger) (keys [][]byte) {
	for _, e := range scanAll(t, l, ScanOptions{AsOf: l.NextSeq()}) {
		keys = append(keys, e.Key)
	}
	return keys
}

func scanAll(t *rapid.T, l *Ledger, o ScanOptions) (entries []Entry) {
	it, err := l.Scan(o)
	if err != nil {
		t.Fatal(err)
	}
	for it.Next() {
		e := *it.Entry()
		e.Key, e.Value = bytes.Clone(e.Key), bytes.Clone(e.Value)
		entries = append(entries, e)
	}
	if err := it.Close(); err != nil || it.Err() != nil {
		t.Fatal(err, it.Err())
	}
	return entries
}

// TestBatchStops: what comes before a command that cannot be applied is applied and shown, and what follows is not.
func TestBatchStops(t *testing.T) {
	r := newReplica(t, nil)
	batch := []Committed{{1, 1, putCommand(t, "a", []byte("1"))}, {2, 1, []byte{99}}, {3, 1, putCommand(t, "b", []byte("2"))}}
	results, err := r.l.ApplyBatch(batch, nil)
	if err == nil || len(results) != 1 || results[0].Receipt.LeafHash == (merkle.Hash{}) {
		t.Fatalf("%+v, %v", results, err)
	}
	if size, _ := r.l.Root(); r.l.AppliedIndex() != 1 || r.l.NextSeq() != 1 || size != 1 {
		t.Errorf("applied up to %d, %d entries, %d leaves", r.l.AppliedIndex(), r.l.NextSeq(), size)
	}
}
