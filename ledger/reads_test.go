package ledger

import (
	"bytes"
	"errors"
	"reflect"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

func (x *machine) drawSelector(t *rapid.T) Selector {
	sel := Selector{Kind: rapid.SampledFrom([]SelectorKind{Newest, BySeq, AsOfSeq, AsOfTime}).Draw(t, "selector")}
	sel.Seq = x.drawSeq(t)
	sel.Time = rapid.Int64Range(0, x.clock+3).Draw(t, "time")
	return sel
}

// drawRead draws a key and a selector, which together name a version that is there more often than not.
func (x *machine) drawRead(t *rapid.T) ([]byte, Selector) {
	key, sel := drawKey(t), x.drawSelector(t)
	if seq := x.drawSeq(t); seq < x.m.size() && rapid.Bool().Draw(t, "known") {
		key, sel.Seq = x.m.entries[seq].Key, seq
	}
	return key, sel
}

// read reads in every way.
func (x *machine) read(t *rapid.T) {
	x.get(t)
	x.get(t)
	x.scan(t)
	x.scan(t)
	x.history(t)
	x.entries(t)
	x.time(t)
	x.prove(t)
	x.consistency(t)
}

func (x *machine) get(t *rapid.T) {
	key, sel := x.drawRead(t)
	want, wantErr := x.m.get(key, sel)
	got, err := x.l.Get(key, sel)
	switch {
	case !reflect.DeepEqual(err, wantErr):
		t.Fatalf("get %q %+v: error %v, want %v", key, sel, err, wantErr)
	case err == nil:
		if err := same(got, want, true, false); err != nil {
			t.Fatalf("get %q %+v: %v", key, sel, err)
		}
	}
	exists, err := x.l.Exists(key)
	if err != nil || exists != (x.m.version(key, x.m.size()) != nil) {
		t.Fatalf("exists %q: %v, %v", key, exists, err)
	}
}

func (x *machine) drawBounds(t *rapid.T) (start, end []byte) {
	switch rapid.IntRange(0, 3).Draw(t, "bounds") {
	case 0:
		return nil, nil
	case 1: // a prefix, as package httpapi makes it
		start = drawKey(t)
		end = append(start[:len(start)-1:len(start)-1], start[len(start)-1]+1)
		if start[len(start)-1] == 0xff {
			end = nil
		}
		return start, end
	case 2:
		return drawKey(t), nil
	}
	return drawKey(t), drawKey(t) // perhaps empty
}

func (x *machine) scan(t *rapid.T) {
	o := ScanOptions{Reverse: rapid.Bool().Draw(t, "reverse"), KeysOnly: rapid.Bool().Draw(t, "keys only"),
		Leaves: rapid.Bool().Draw(t, "leaves")}
	o.Start, o.End = x.drawBounds(t)
	o.AsOf = rapid.SampledFrom([]uint64{^uint64(0), x.drawSeq(t), x.m.size() - min(1, x.m.size())}).Draw(t, "as of")
	if rapid.Bool().Draw(t, "has prefix") {
		o.Prefix = drawKey(t)
	}
	it, err := x.l.Keys(o)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	if o.AsOf >= x.m.size() && x.m.size() > 0 {
		o.AsOf = x.m.size() - 1
	}
	want := x.m.scan(o)
	for range rapid.IntRange(0, 2).Draw(t, "seeks") {
		want = x.seek(t, it, o)
	}
	x.pin(t, pinned{it, want, !o.KeysOnly, o.Leaves, "scan"})
}

// seek sends a scan to a key and some steps on, and returns what is still to come.
func (x *machine) seek(t *rapid.T, it *KeyIterator, o ScanOptions) []*Entry {
	key, left := drawKey(t), x.m.scan(o)
	for len(left) > 0 && (o.Reverse && bytes.Compare(left[0].Key, key) >= 0 ||
		!o.Reverse && bytes.Compare(left[0].Key, key) < 0) {
		left = left[1:]
	}
	ok := it.Seek(key)
	for range rapid.IntRange(0, 2).Draw(t, "steps") {
		if len(left) == 0 {
			break
		}
		if !ok || same(it.Entry(), left[0], !o.KeysOnly, o.Leaves) != nil {
			t.Fatalf("scan %+v: behind seek %q stands %+v, want %+v", o, key, it.Entry(), left[0])
		}
		left = left[1:]
		ok = it.Next()
	}
	if ok != (len(left) > 0) || ok && same(it.Entry(), left[0], !o.KeysOnly, o.Leaves) != nil {
		t.Fatalf("scan %+v: behind seek %q stands %+v (%v), %d are left", o, key, it.Entry(), ok, len(left))
	}
	return left[min(1, len(left)):]
}

func (x *machine) history(t *rapid.T) {
	key, sel := x.drawRead(t)
	before, values := sel.Seq, rapid.Bool().Draw(t, "values")
	if rapid.Bool().Draw(t, "all") {
		before = ^uint64(0)
	}
	it, err := x.l.History(key, before, values)
	if err != nil {
		t.Fatalf("history: %v", err)
	}
	x.pin(t, pinned{it, x.m.history(key, before), values, true, "history"})
}

func (x *machine) entries(t *rapid.T) {
	from, keysOnly := x.drawSeq(t), rapid.Bool().Draw(t, "keys only")
	it, err := x.l.Entries(from, keysOnly)
	if err != nil {
		t.Fatalf("entries: %v", err)
	}
	x.pin(t, pinned{it, x.m.from(from), !keysOnly, true, "entries"})
}

// pin walks an iterator at once, or leaves it open: what it gives must not depend on what happens meanwhile.
func (x *machine) pin(t *rapid.T, p pinned) {
	if len(x.open) < 8 && rapid.Bool().Draw(t, "later") {
		x.open = append(x.open, p)
		return
	}
	if err := walked(p.it, p.want, p.values, p.leaf); err != nil {
		t.Fatalf("%s: %v", p.what, err)
	}
}

// walkOn moves an open iterator, perhaps of a ledger that was closed since.
func (x *machine) walkOn(t *rapid.T) {
	if len(x.open) == 0 {
		t.Skip("no iterator is open")
	}
	i := rapid.IntRange(0, len(x.open)-1).Draw(t, "iterator")
	p := &x.open[i]
	for range rapid.IntRange(1, 600).Draw(t, "moves") {
		if len(p.want) == 0 {
			break
		}
		if !p.it.Next() {
			t.Fatalf("%s ends %d entries early: %v", p.what, len(p.want), p.it.Err())
		}
		if err := same(p.it.Entry(), p.want[0], p.values, p.leaf); err != nil {
			t.Fatalf("%s: %v", p.what, err)
		}
		p.want = p.want[1:]
	}
}

func (x *machine) time(t *rapid.T) {
	at := rapid.Int64Range(0, x.clock+3).Draw(t, "time")
	if n, err := x.l.SeqAtTime(at); err != nil || n != x.m.until(at) {
		t.Fatalf("%d entries until %d, want %d: %v", n, at, x.m.until(at), err)
	}
}

func (x *machine) prove(t *rapid.T) {
	key, sel := x.drawRead(t)
	want, wantErr := x.m.pick(key, sel)
	p, err := x.l.Prove(key, sel)
	if !reflect.DeepEqual(err, wantErr) {
		t.Fatalf("prove %q %+v: error %v, want %v", key, sel, err, wantErr)
	}
	if err != nil {
		return
	}
	if err := x.checkProof(p, want); err != nil {
		t.Fatalf("prove %q %+v: %v", key, sel, err)
	}
}

func (x *machine) checkProof(p *Proof, want *Entry) error {
	if err := same(p.Entry, want, true, false); err != nil {
		return err
	}
	if p.Leaf != want.Leaf || merkle.LeafHash(p.Record) != want.Leaf {
		return errors.New("leaf or record is not the entry's")
	}
	if p.TreeSize != x.m.size() || p.Root != x.m.roots[p.TreeSize] {
		return errors.New("root is not that of all entries")
	}
	checkpoint := tlog.Checkpoint{Origin: "scribe/" + testCluster, Size: p.TreeSize, Root: p.Root}
	if text, err := checkpoint.Text(); err != nil || text != p.Checkpoint {
		return errors.New("checkpoint is not that of all entries")
	}
	if err := merkle.VerifyInclusion(p.Leaf, want.Seq, p.TreeSize, p.Inclusion, p.Root); err != nil {
		return err
	}
	if sealed := want.Seq < x.l.Manifest().TreeSize; sealed != (p.Segment != nil) {
		return errors.New("segment proof of an entry that is in none, or none of one that is")
	}
	if p.Segment == nil {
		return nil
	}
	for _, s := range x.l.Manifest().Segments {
		if want.Seq < s.FirstSeq || want.Seq > s.LastSeq {
			continue
		}
		root := x.m.ever[manifest.Range{FirstSeq: s.FirstSeq, LastSeq: s.LastSeq}]
		if p.Segment.ID != s.ID || p.Segment.Root != root || p.Segment.Entries != s.Entries {
			return errors.New("segment proof is for another segment")
		}
	}
	return merkle.VerifyInclusion(p.Leaf, p.Segment.Ordinal, p.Segment.Entries, p.Segment.Inclusion, p.Segment.Root)
}

func (x *machine) consistency(t *rapid.T) {
	from, to := x.drawSeq(t), x.drawSeq(t)
	old, now, proof, err := x.l.Consistency(from, to)
	if from > to || to > x.m.size() {
		if !errors.Is(err, merkle.ErrRange) {
			t.Fatalf("consistency of %d and %d: %v", from, to, err)
		}
		return
	}
	if err != nil || old != x.m.roots[from] || now != x.m.roots[to] {
		t.Fatalf("consistency of %d and %d: roots %v and %v, %v", from, to, old, now, err)
	}
	if err := merkle.VerifyConsistency(from, to, old, now, proof); err != nil {
		t.Fatal(err)
	}
}
