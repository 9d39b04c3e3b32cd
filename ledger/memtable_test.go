package ledger

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// memModel is a memtable as a list: entries in seq order, searched from end to end.
type memModel struct {
	first   uint64
	entries []Entry
}

// inOrder is the entries in segment order.
func (m *memModel) inOrder() []Entry {
	out := slices.Clone(m.entries)
	slices.SortStableFunc(out, func(a, b Entry) int {
		aOwn, bOwn := a.Op == tlog.OpSegment, b.Op == tlog.OpSegment
		switch {
		case aOwn && bOwn:
			return cmp.Compare(a.Seq, b.Seq)
		case aOwn:
			return -1
		case bOwn:
			return 1
		}
		return cmp.Or(bytes.Compare(a.Key, b.Key), cmp.Compare(b.Seq, a.Seq))
	})
	return out
}

// versions is what a key has with seq <= maxSeq, newest first.
func (m *memModel) versions(key []byte, maxSeq uint64) []Entry {
	var out []Entry
	for _, e := range slices.Backward(m.entries) {
		if e.Op != tlog.OpSegment && e.Seq <= maxSeq && bytes.Equal(e.Key, key) {
			out = append(out, e)
		}
	}
	return out
}

// scan is what a memSource shows.
func (m *memModel) scan(o ScanOptions) []Entry {
	var out []Entry
	for _, e := range m.inOrder() {
		if e.Op == tlog.OpSegment || e.Seq > o.AsOf || bytes.Compare(e.Key, o.Start) < 0 ||
			o.End != nil && bytes.Compare(e.Key, o.End) >= 0 ||
			len(out) > 0 && bytes.Equal(out[len(out)-1].Key, e.Key) {
			continue
		}
		out = append(out, e)
	}
	if o.Reverse {
		slices.Reverse(out)
	}
	return out
}

func memDiff(got *Entry, want Entry) error {
	if reflect.DeepEqual(got, &want) {
		return nil
	}
	return fmt.Errorf("got %+v with %d bytes, want %+v with %d", got.Record, len(got.Value), want.Record, len(want.Value))
}

// drawMemKey draws keys that differ early, late, behind 16 bytes, by length alone, and by zeros at their end.
func drawMemKey(t *rapid.T) []byte {
	prefix := rapid.SampledFrom([]string{"", "a", "a\x00", "0123456789abcdef", "0123456789abcde", "0123456789abcdef-long"}).
		Draw(t, "prefix")
	tail := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'x', 255}), 0, 3).Draw(t, "tail")
	if key := append([]byte(prefix), tail...); len(key) > 0 {
		return key
	}
	return []byte{0}
}

// TestMemtableModel: whatever is added, every way to read a memtable gives what a plain list gives, as of any seq, and an
// iterator that was begun before goes on over what it may see.
func TestMemtableModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.SampledFrom([]uint64{0, 1, 1 << 40}).Draw(t, "first")
		m, model := newMemtable(first, rapid.IntRange(0, 10).Draw(t, "expected")), &memModel{first: first}
		var resting []*restingScan
		t.Repeat(map[string]func(*rapid.T){
			"add":  func(t *rapid.T) { addToBoth(t, m, model) },
			"bulk": func(t *rapid.T) { bulkToBoth(t, m, model) },
			"point": func(t *rapid.T) {
				key := drawMemKey(t)
				maxSeq := first + rapid.Uint64Range(0, uint64(len(model.entries))+1).Draw(t, "max seq") - 1
				checkVersions(t, m, model, key, maxSeq)
			},
			"scan": func(t *rapid.T) {
				s := newRestingScan(t, m, model)
				if rapid.Bool().Draw(t, "rest") {
					s.step(t, rapid.IntRange(0, 3).Draw(t, "steps"))
					resting = append(resting, s)
					return
				}
				s.step(t, len(model.entries)+1)
			},
			"seek": func(t *rapid.T) {
				s := newRestingScan(t, m, model)
				for range rapid.IntRange(1, 3).Draw(t, "seeks") {
					s.seek(t, drawMemKey(t))
					s.step(t, rapid.IntRange(0, 3).Draw(t, "steps"))
				}
			},
			"": func(t *rapid.T) {
				for len(resting) > 3 {
					resting[0].step(t, len(model.entries)+1)
					resting = resting[1:]
				}
			},
		})
		for _, s := range resting {
			s.step(t, len(model.entries)+1)
		}
		checkWhole(t, m, model)
	})
}

func addToBoth(t *rapid.T, m *memtable, model *memModel) {
	seq := model.first + uint64(len(model.entries))
	e := Entry{Record: tlog.Record{Op: rapid.SampledFrom([]tlog.Op{tlog.OpPut, tlog.OpPut, tlog.OpDelete, tlog.OpSegment}).
		Draw(t, "op"), Seq: seq, Time: int64(seq / 3), Key: drawMemKey(t), ValueHash: merkle.Hash{1, byte(seq)}},
		Value: []byte{}, Leaf: merkle.Hash{2, byte(seq)}}
	if e.Op == tlog.OpPut {
		e.ContentType = rapid.SampledFrom([]string{"", "a/b", "c/d"}).Draw(t, "content type")
		e.Principal = rapid.SampledFrom([]string{"", "p"}).Draw(t, "principal")
		e.Value = bytes.Repeat([]byte{byte(seq)}, rapid.SampledFrom([]int{0, 1, 10, 100, 100, 5000, aliasBytes, aliasBytes + 1}).Draw(t, "value"))
		e.ValueSize = uint64(len(e.Value))
	}
	addOne(m, model, e, rapid.Bool().Draw(t, "retain"))
}

func addOne(m *memtable, model *memModel, e Entry, retain bool) {
	given := e
	given.Key, given.Value = bytes.Clone(e.Key), e.Value
	if !retain {
		given.Value = bytes.Clone(e.Value)
	}
	m.add(&given, retain)
	m.link()
	m.publish()
	clear(given.Key) // is not the memtable's
	if !retain {
		clear(given.Value)
	}
	model.entries = append(model.entries, e)
}

// bulkToBoth adds many keys, or many versions of one.
func bulkToBoth(t *rapid.T, m *memtable, model *memModel) {
	one, stride := rapid.Bool().Draw(t, "one key"), rapid.SampledFrom([]int{1, 7, 255}).Draw(t, "stride")
	for i := range rapid.IntRange(1, 300).Draw(t, "count") {
		seq := model.first + uint64(len(model.entries))
		e := Entry{Record: tlog.Record{Op: tlog.OpPut, Seq: seq, Time: int64(seq / 3), Key: []byte("a")}, Value: []byte{}}
		if !one {
			e.Key = fmt.Appendf(nil, "a%03d", i*stride%1000)
		}
		addOne(m, model, e, false)
	}
}

func checkVersions(t *rapid.T, m *memtable, model *memModel, key []byte, maxSeq uint64) {
	want := model.versions(key, maxSeq)
	if maxSeq+1 == 0 { // below seq 0 there is nothing to ask for
		return
	}
	got := m.get(key, maxSeq)
	if (got == nil) != (len(want) == 0) {
		t.Fatalf("get %q as of %d: %v, want %d versions", key, maxSeq, got, len(want))
	}
	link := m.find(key, maxSeq)
	for i := range want {
		var e Entry
		if link == 0 {
			t.Fatalf("%q as of %d has %d versions, want %d", key, maxSeq, i, len(want))
		}
		m.load(link, &e)
		if err := memDiff(&e, want[i]); err != nil {
			t.Fatalf("version %d of %q as of %d: %v", i, key, maxSeq, err)
		}
		link = m.version(link).older
	}
	if link != 0 {
		t.Fatalf("%q as of %d has more than %d versions", key, maxSeq, len(want))
	}
}

// checkWhole compares everything that goes by seq, and the order for the flush.
func checkWhole(t *rapid.T, m *memtable, model *memModel) {
	leaves := make([]merkle.Hash, len(model.entries)+1)
	if n := m.leaves(model.first, leaves); n != len(model.entries) {
		t.Fatalf("%d leaves, want %d", n, len(model.entries))
	}
	for i, want := range model.entries {
		if err := memDiff(m.at(want.Seq), want); err != nil {
			t.Fatalf("entry %d: %v", want.Seq, err)
		}
		if leaves[i] != want.Leaf {
			t.Fatalf("leaf %d is %v", i, leaves[i])
		}
		until := i + 1
		for until < len(model.entries) && model.entries[until].Time == want.Time {
			until++
		}
		if got := m.countUntil(want.Time); got != uint64(until) {
			t.Fatalf("%d entries until %d, want %d", got, want.Time, until)
		}
	}
	if m.at(model.first+uint64(len(model.entries))) != nil || model.first > 0 && m.at(model.first-1) != nil {
		t.Fatal("an entry outside the memtable")
	}
	want := model.inOrder()
	err := m.each(func(e *Entry) error {
		if len(want) == 0 {
			return fmt.Errorf("entry %d is too many", e.Seq)
		}
		err := memDiff(e, want[0])
		want = want[1:]
		return err
	})
	if err != nil || len(want) > 0 {
		t.Fatalf("in segment order: %v, %d are missing", err, len(want))
	}
}

// restingScan is a scan and what it has still to show.
type restingScan struct {
	s    *memSource
	o    ScanOptions
	all  []Entry
	want []Entry
}

func newRestingScan(t *rapid.T, m *memtable, model *memModel) *restingScan {
	o := ScanOptions{Reverse: rapid.Bool().Draw(t, "reverse")}
	// A reader's bound lies below a size that was published before it began.
	if len(model.entries) == 0 {
		t.Skip("nothing is published")
	}
	o.AsOf = model.first + rapid.Uint64Range(0, uint64(len(model.entries))-1).Draw(t, "as of")
	if rapid.Bool().Draw(t, "has start") {
		o.Start = drawMemKey(t)
	}
	if rapid.Bool().Draw(t, "has end") {
		o.End = drawMemKey(t)
	}
	all := model.scan(o)
	return &restingScan{s: newMemSource(m, o), o: o, all: all, want: all}
}

func (r *restingScan) seek(t *rapid.T, key []byte) {
	r.want = r.all
	for len(r.want) > 0 && (r.o.Reverse && bytes.Compare(r.want[0].Key, key) >= 0 ||
		!r.o.Reverse && bytes.Compare(r.want[0].Key, key) < 0) {
		r.want = r.want[1:]
	}
	r.landed(t, r.s.Seek(key), fmt.Sprintf("seek %q", key))
}

func (r *restingScan) step(t *rapid.T, steps int) {
	for range steps {
		ended := len(r.want) == 0
		if r.landed(t, r.s.Next(), "next"); ended {
			return
		}
	}
}

func (r *restingScan) landed(t *rapid.T, ok bool, what string) {
	if ok != (len(r.want) > 0) {
		t.Fatalf("%s of %+v: %v, %d are left", what, r.o, ok, len(r.want))
	}
	if !ok {
		return
	}
	if err := memDiff(r.s.Entry(), r.want[0]); err != nil {
		t.Fatalf("%s of %+v: %v", what, r.o, err)
	}
	r.want = r.want[1:]
}

// TestMemtableBesideWriter reads in every way while entries come in. A reader sees exactly what was published before it
// began, whatever is being linked meanwhile.
func TestMemtableBesideWriter(t *testing.T) {
	const keys, total = 97, 20_000
	m := newMemtable(0, 0)
	key := func(i uint64) []byte { return fmt.Appendf(nil, "%s%03d", strings.Repeat("k", int(i%3)*8), i*31%keys) }
	var published latest // only its first element
	var readers sync.WaitGroup
	for reader := range 4 {
		readers.Go(func() {
			for {
				size := published[0].Load()
				if size == 0 {
					continue
				}
				if err := readMemtable(m, reader, size, key); err != nil {
					t.Errorf("at size %d: %v", size, err)
					return
				}
				if size == total {
					return
				}
			}
		})
	}
	for i := range uint64(total) {
		e := Entry{Record: tlog.Record{Op: tlog.OpPut, Seq: i, Time: int64(i), Key: key(i), ContentType: fmt.Sprint(i % 300)},
			Value: fmt.Append(nil, i)}
		if i%1000 == 999 { // new keys too, all the time
			e.Key = fmt.Appendf(nil, "new %d", i)
		}
		m.add(&e, false)
		m.link()
		m.publish()
		published[0].Store(i + 1)
	}
	readers.Wait()
}

// readMemtable compares what a reader finds at a published size with what it must be.
func readMemtable(m *memtable, reader int, size uint64, key func(uint64) []byte) error {
	last := size - 1
	if last%1000 == 999 {
		last--
	}
	switch reader {
	case 0: // point read
		e := m.get(key(last), size-1)
		if e == nil || e.Seq != last || string(e.Value) != fmt.Sprint(last) || e.ContentType != fmt.Sprint(last%300) {
			return fmt.Errorf("get %q gives %+v, want entry %d", key(last), e, last)
		}
	case 1: // by seq
		if e := m.at(last); e == nil || e.Seq != last || !bytes.Equal(e.Key, key(last)) {
			return fmt.Errorf("entry %d is %+v", last, e)
		}
	default:
		return scanMemtable(m, size, reader == 3)
	}
	return nil
}

// scanMemtable checks that a scan shows every key in order, none twice, none from the future, and each one's newest.
func scanMemtable(m *memtable, size uint64, reverse bool) error {
	s := newMemSource(m, ScanOptions{AsOf: size - 1, Reverse: reverse})
	newest := make(map[string]uint64)
	var before []byte
	for s.Next() {
		e := s.Entry()
		if e.Seq >= size || string(e.Value) != fmt.Sprint(e.Seq) {
			return fmt.Errorf("scan shows entry %d with value %q", e.Seq, e.Value)
		}
		if c := bytes.Compare(before, e.Key); before != nil && (c == 0 || (c < 0) == reverse) {
			return fmt.Errorf("scan shows %q behind %q", e.Key, before)
		}
		before = bytes.Clone(e.Key)
		newest[string(e.Key)] = e.Seq
	}
	count := 0
	seen := make(map[string]bool)
	for seq := int64(size) - 1; seq >= 0 && count < 3*97; seq-- {
		e := m.at(uint64(seq))
		if seen[string(e.Key)] {
			continue
		}
		seen[string(e.Key)] = true
		count++
		if newest[string(e.Key)] != e.Seq {
			return fmt.Errorf("scan shows version %d of %q, not %d", newest[string(e.Key)], e.Key, e.Seq)
		}
	}
	return nil
}

// TestOldVersionsAreNear: from the newest of many versions of a key, any other one is few links away.
func TestOldVersionsAreNear(t *testing.T) {
	const versions = 30_000
	m := newMemtable(0, 0)
	for i := range uint64(versions) {
		m.add(&Entry{Record: tlog.Record{Op: tlog.OpPut, Seq: i, Key: []byte("k")}}, false)
	}
	for maxSeq := uint64(0); maxSeq < versions; maxSeq += 37 {
		steps := 0
		for link := uint32(versions); link != m.find([]byte("k"), maxSeq); steps++ {
			if v := m.version(link); v.jump > uint32(maxSeq)+1 {
				link = v.jump
			} else {
				link = v.older
			}
		}
		if steps > 60 { // 30,000 is 2^15
			t.Fatalf("version %d is %d links away", maxSeq, steps)
		}
	}
}

// TestLargeValuesAreNotCopied when they are the better part of their command, and are when they would hold on to more.
func TestLargeValuesAreNotCopied(t *testing.T) {
	r := newReplica(t, nil)
	large := bytes.Repeat([]byte("v"), 2*aliasBytes)
	put := func(key string) WriteOp { return WriteOp{Op: tlog.OpPut, Key: []byte(key), Value: large} }
	alone := mustEncode(t, &Command{Ops: []WriteOp{put("alone")}})
	among := mustEncode(t, &Command{Ops: []WriteOp{put("a"), put("b"), put("c")}})
	mustApply(t, r.l, 1, alone)
	mustApply(t, r.l, 2, among)
	for key, want := range map[string]bool{"alone": true, "a": false, "c": false} {
		e, err := r.l.Get([]byte(key), Selector{})
		if err != nil {
			t.Fatal(err)
		}
		aliased := &e.Value[len(e.Value)-1] == &alone[len(alone)-1] || bytes.Contains(among, e.Key) && within(e.Value, among)
		if aliased != want || !bytes.Equal(e.Value, large) {
			t.Errorf("the value of %q lies in its command: %v, want %v", key, aliased, want)
		}
	}
}

// within says whether part is a piece of whole's memory.
func within(part, whole []byte) bool {
	for i := range whole {
		if &whole[i] == &part[0] {
			return true
		}
	}
	return false
}
