package ledger

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// model is a ledger in a slice. It shares nothing with the real one but the canonical record.
type model struct {
	window  int // idempotency keys remembered
	entries []Entry
	roots   []merkle.Hash // roots[n] is that of the first n entries
	tree    tlog.Frontier
	time    int64
	memory  []memo

	sealed   []tlog.Descriptor // sealed ranges, oldest first; roots filled in
	recorded int               // how many of them the log records
	active   uint64            // first seq that is not sealed

	parts  []manifest.Range               // the recorded segments
	merges []manifest.Range               // decided and not recorded
	ever   map[manifest.Range]merkle.Hash // all that were ever recorded, with their roots
}

// memo is one remembered write.
type memo struct {
	key     string
	request merkle.Hash
	receipt Receipt
}

func newModel(window int) *model {
	return &model{window: window, roots: []merkle.Hash{merkle.EmptyRoot()}, ever: make(map[manifest.Range]merkle.Hash)}
}

func (m *model) size() uint64 { return uint64(len(m.entries)) }

func (m *model) add(e Entry) *Entry {
	e.Seq, e.Time = m.size(), m.time
	e.ValueSize, e.ValueHash = uint64(len(e.Value)), sha256.Sum256(e.Value)
	record, err := tlog.AppendRecord(nil, &e.Record)
	if err != nil {
		panic(err)
	}
	e.Leaf = merkle.LeafHash(record)
	m.tree.Append(e.Leaf)
	m.entries = append(m.entries, e)
	m.roots = append(m.roots, m.tree.Root())
	return &m.entries[len(m.entries)-1]
}

// write is the result of a command that was stamped with time.
func (m *model) write(cmd *Command, time int64) Result {
	for _, r := range m.memory {
		if cmd.IdempotencyKey == "" || r.key != cmd.IdempotencyKey {
			continue
		}
		if r.request != cmd.RequestHash {
			return Result{Err: ErrIdempotencyMismatch}
		}
		again := r.receipt
		again.Replayed = true
		return Result{Receipt: again}
	}
	for i, op := range cmd.Ops {
		if err := m.judge(i, op); err != nil {
			return Result{Err: err}
		}
	}
	m.time = max(m.time, time)
	rec := Receipt{FirstSeq: m.size(), Count: uint64(len(cmd.Ops)), Time: m.time}
	for i, op := range cmd.Ops {
		e := m.add(Entry{Record: tlog.Record{Op: op.Op, Key: op.Key, ContentType: op.ContentType,
			Principal: cmd.Principal}, Value: op.Value})
		if i == 0 {
			rec.LeafHash = e.Leaf
		}
	}
	if cmd.IdempotencyKey != "" {
		m.memory = append(m.memory, memo{cmd.IdempotencyKey, cmd.RequestHash, rec})
		m.memory = m.memory[max(0, len(m.memory)-m.window):]
	}
	return Result{Receipt: rec}
}

func (m *model) judge(i int, op WriteOp) error {
	newest := m.version(op.Key, m.size())
	live := newest != nil && newest.Op == tlog.OpPut
	for _, c := range op.Conditions {
		named := live && (c.Any || slices.Contains(c.Seqs, newest.Seq))
		if named == (c.Kind == IfMatch) {
			continue
		}
		err := &PreconditionError{OpIndex: i, Exists: newest != nil}
		if newest != nil {
			err.Seq = newest.Seq
		}
		return err
	}
	if op.Op == tlog.OpDelete && !live {
		err := &NotFoundError{OpIndex: i, Tombstone: newest != nil}
		if newest != nil {
			err.Seq = newest.Seq
		}
		return err
	}
	return nil
}

func (m *model) seal(first uint64) {
	if m.active == m.size() || first != sealAny && first != m.active {
		return
	}
	d := tlog.Descriptor{FirstSeq: m.active, LastSeq: m.size() - 1, Entries: m.size() - m.active}
	d.Root = segmentRoot(m.entries[m.active:])
	m.sealed = append(m.sealed, d)
	m.active = m.size()
}

// segmentRoot is the root of a segment's tree, whose leaves stand in segment order.
func segmentRoot(entries []Entry) merkle.Hash {
	order := slices.Clone(entries)
	sort.SliceStable(order, func(i, j int) bool {
		a, b := &order[i], &order[j]
		if own := a.Op == tlog.OpSegment; own != (b.Op == tlog.OpSegment) {
			return own
		} else if own {
			return a.Seq < b.Seq
		}
		if c := bytes.Compare(a.Key, b.Key); c != 0 {
			return c < 0
		}
		return a.Seq > b.Seq
	})
	var f tlog.Frontier
	for i := range order {
		f.Append(order[i].Leaf)
	}
	return f.Root()
}

func (m *model) record(d tlog.Descriptor, time int64) {
	r := manifest.Range{FirstSeq: d.FirstSeq, LastSeq: d.LastSeq}
	switch {
	case slices.Contains(m.merges, r):
		m.merges = slices.DeleteFunc(m.merges, func(x manifest.Range) bool { return x == r })
		from := slices.IndexFunc(m.parts, func(x manifest.Range) bool { return x.FirstSeq == r.FirstSeq })
		to := slices.IndexFunc(m.parts, func(x manifest.Range) bool { return x.LastSeq == r.LastSeq })
		m.parts = slices.Replace(m.parts, from, to+1, r)
	case m.recorded < len(m.sealed) && d.FirstSeq == m.sealed[m.recorded].FirstSeq:
		m.recorded++
		m.parts = append(m.parts, r)
	default:
		return
	}
	m.ever[r] = segmentRoot(m.entries[r.FirstSeq : r.LastSeq+1])
	m.time = max(m.time, time)
	m.add(Entry{Record: tlog.Record{Op: tlog.OpSegment, Key: []byte(d.ID())}, Value: d.Append(nil)})
}

// merge says whether a merge is decided: of two or more recorded segments, none of which is being merged, and no more
// than four at a time.
func (m *model) merge(r manifest.Range) bool {
	count, begins, ends := 0, false, false
	for _, x := range m.parts {
		if x.FirstSeq >= r.FirstSeq && x.LastSeq <= r.LastSeq {
			count++
		}
		begins, ends = begins || x.FirstSeq == r.FirstSeq, ends || x.LastSeq == r.LastSeq
	}
	for _, x := range m.merges {
		if x.FirstSeq <= r.LastSeq && x.LastSeq >= r.FirstSeq {
			return false
		}
	}
	if count < 2 || !begins || !ends || len(m.merges) == 4 {
		return false
	}
	m.merges = append(m.merges, r)
	return true
}

// version is the newest version of key among the first n entries, a tombstone too.
func (m *model) version(key []byte, n uint64) *Entry {
	for i := int(min(n, m.size())) - 1; i >= 0; i-- {
		if e := &m.entries[i]; e.Op != tlog.OpSegment && bytes.Equal(e.Key, key) {
			return e
		}
	}
	return nil
}

// pick is the version that a selector picks: an entry, or an error.
func (m *model) pick(key []byte, sel Selector) (*Entry, error) {
	n := m.size()
	switch sel.Kind {
	case BySeq:
		if sel.Seq < n && m.entries[sel.Seq].Op != tlog.OpSegment && bytes.Equal(m.entries[sel.Seq].Key, key) {
			return &m.entries[sel.Seq], nil
		}
		return nil, ErrVersionNotFound
	case AsOfSeq:
		if sel.Seq < n {
			n = sel.Seq + 1
		}
	case AsOfTime:
		n = m.until(sel.Time)
	}
	if e := m.version(key, n); e != nil {
		return e, nil
	}
	return nil, &NotFoundError{}
}

// get is what Get gives.
func (m *model) get(key []byte, sel Selector) (*Entry, error) {
	e, err := m.pick(key, sel)
	switch {
	case err != nil || e.Op == tlog.OpPut:
		return e, err
	case sel.Kind == BySeq:
		return nil, ErrVersionNotFound
	}
	return nil, &NotFoundError{Tombstone: true, Seq: e.Seq}
}

// until is how many entries have a time at or before t.
func (m *model) until(t int64) (n uint64) {
	for n < m.size() && m.entries[n].Time <= t {
		n++
	}
	return n
}

func (m *model) scan(o ScanOptions) (out []*Entry) {
	newest := make(map[string]*Entry)
	for i := range m.entries {
		e := &m.entries[i]
		if e.Op != tlog.OpSegment && e.Seq <= o.AsOf && bytes.Compare(e.Key, o.Start) >= 0 &&
			bytes.HasPrefix(e.Key, o.Prefix) && (o.End == nil || bytes.Compare(e.Key, o.End) < 0) {
			newest[string(e.Key)] = e
		}
	}
	for _, e := range newest {
		if e.Op == tlog.OpPut {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *Entry) int {
		if o.Reverse {
			a, b = b, a
		}
		return bytes.Compare(a.Key, b.Key)
	})
	return out
}

func (m *model) history(key []byte, before uint64) (out []*Entry) {
	for i := int(min(before, m.size())) - 1; i >= 0; i-- {
		if e := &m.entries[i]; e.Op != tlog.OpSegment && bytes.Equal(e.Key, key) {
			out = append(out, e)
		}
	}
	return out
}

func (m *model) from(seq uint64) (out []*Entry) {
	for ; seq < m.size(); seq++ {
		out = append(out, &m.entries[seq])
	}
	return out
}

// same compares an entry that was read with the model's. Without values one may be missing; a leaf may be when leaf is
// not set.
func same(got, want *Entry, values, leaf bool) error {
	ok := got.Op == want.Op && got.Seq == want.Seq && got.Time == want.Time && bytes.Equal(got.Key, want.Key) &&
		got.ContentType == want.ContentType && got.Principal == want.Principal && got.ValueSize == want.ValueSize
	if values || got.Value != nil {
		ok = ok && bytes.Equal(got.Value, want.Value)
	}
	if got.ValueHash != (merkle.Hash{}) {
		ok = ok && got.ValueHash == want.ValueHash
	}
	if leaf || got.Leaf != (merkle.Hash{}) {
		ok = ok && got.Leaf == want.Leaf
	}
	if !ok {
		return fmt.Errorf("got entry %+v (value %.20q, leaf %v), want %+v (value %.20q, leaf %v)", got.Record, got.Value,
			got.Leaf, want.Record, want.Value, want.Leaf)
	}
	return nil
}

// walked holds an iterator, to its end, against what it must give.
func walked(it Iterator, want []*Entry, values, leaf bool) error {
	defer it.Close()
	for i, w := range want {
		if !it.Next() {
			return fmt.Errorf("ends after %d of %d entries: %v", i, len(want), it.Err())
		}
		if err := same(it.Entry(), w, values, leaf); err != nil {
			return fmt.Errorf("entry %d of %d: %w", i, len(want), err)
		}
	}
	if it.Next() {
		return fmt.Errorf("goes on after %d entries with %+v", len(want), it.Entry().Record)
	}
	if it.Entry() != nil {
		return fmt.Errorf("stands on entry %d after its end", it.Entry().Seq)
	}
	return it.Err()
}
