package sim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// answer is what a subject says to a read. Every subject must say the same in common; those of a lineage in exact too,
// where seqs, hashes and proofs stand.
type answer struct {
	line   *lineage
	common bytes.Buffer
	exact  bytes.Buffer
}

// entry notes one. Entries of the ledger itself are not common.
func (a *answer) entry(e *ledger.Entry) {
	if e.Op != tlog.OpSegment {
		fmt.Fprintf(&a.common, "%s op %d at %d %q %q %q %d bytes\n", a.line.name(e.Seq), e.Op, e.Time, e.Key, e.ContentType,
			e.Principal, e.ValueSize)
	}
	fmt.Fprintf(&a.exact, "%d\n", e.Seq)
}

// value notes the bytes of an entry's value.
func (a *answer) value(e *ledger.Entry) error {
	sum := merkle.Hash(sha256.Sum256(e.Value))
	if e.ValueHash != (merkle.Hash{}) && e.ValueHash != sum || e.ValueSize != uint64(len(e.Value)) {
		return fmt.Errorf("entry %d has a value of %d bytes with hash %v, and says %d and %v", e.Seq, len(e.Value), sum, e.ValueSize,
			e.ValueHash)
	}
	fmt.Fprintf(&a.exact, "value %v\n", sum)
	if e.Op != tlog.OpSegment {
		fmt.Fprintf(&a.common, "value %v\n", sum)
	}
	return nil
}

// failed notes an error that an answer may be.
func (a *answer) failed(err error) error {
	words := a.line.inWords(err)
	if words == "" {
		return err
	}
	fmt.Fprintln(&a.common, words)
	fmt.Fprintln(&a.exact, err)
	return nil
}

// ask has a subject answer a read.
func (s *subject) ask(o metaOp) (*answer, error) {
	a := &answer{line: s.line}
	err := s.answer(a, o)
	size, root := s.stack.Ledger().Root()
	fmt.Fprintf(&a.exact, "%d entries with root %v\n", size, root)
	fmt.Fprintf(&a.common, "%d entries of clients\n", s.line.before(size))
	return a, err
}

func (s *subject) answer(a *answer, o metaOp) error {
	l := s.stack.Ledger()
	sel := ledger.Selector{Kind: o.kind, Seq: s.line.seqOf(o.a), Time: s.line.timeOf(o.a)}
	switch o.do {
	case doGet, doPeek:
		look := l.Get
		if o.do == doPeek {
			look = l.Peek
		}
		e, err := look(o.key, sel)
		if err != nil {
			return a.failed(err)
		}
		a.entry(e)
		if e.Value == nil && o.do == doPeek { // a large one that is in a segment
			fmt.Fprintf(&a.common, "value %v\n", e.ValueHash)
			fmt.Fprintf(&a.exact, "value %v\n", e.ValueHash)
			return nil
		}
		return a.value(e)
	case doExists:
		is, err := l.Exists(o.key)
		fmt.Fprintln(&a.common, is)
		return err
	case doTime:
		n, err := l.SeqAtTime(sel.Time)
		fmt.Fprintf(&a.common, "%d\n", s.line.before(n))
		fmt.Fprintf(&a.exact, "%d\n", n)
		return err
	case doProve:
		return s.prove(a, o.key, sel)
	case doConsistency:
		return s.consistency(a, o)
	case doDrain:
		for _, h := range s.held {
			if err := a.walk(h.it, h.limit); err != nil {
				return err
			}
		}
		s.held = nil
		return nil
	case doAll:
		return s.everything(a)
	}
	return s.iterate(a, o)
}

// iterate walks, or leaves an iterator for doDrain.
func (s *subject) iterate(a *answer, o metaOp) error {
	l := s.stack.Ledger()
	var it ledger.Iterator
	var err error
	limit := int(o.b % 300)
	switch o.do {
	case doScan:
		opts := ledger.ScanOptions{Start: o.key, End: o.end, Reverse: o.reverse, KeysOnly: !o.values, Leaves: o.values,
			AsOf: s.line.seqOf(o.a)}
		if o.prefix {
			opts.Start, opts.Prefix = nil, o.key
		}
		it, err = s.scan(a, opts, o.seek)
	case doHistory:
		it, err = l.History(o.key, s.line.seqOf(o.a), o.values)
	default: // doEntries; limits count what is common
		it, err = l.Entries(min(s.line.seqOf(o.a), l.NextSeq()), !o.values)
	}
	if err != nil {
		return err
	}
	if !o.values {
		limit = -limit - 1
	}
	if o.hold {
		s.held = append(s.held, held{it, limit})
		return nil
	}
	return a.walk(it, limit)
}

// scan begins one and, where it is to go on elsewhere, notes its first entries and goes there.
func (s *subject) scan(a *answer, opts ledger.ScanOptions, seek []byte) (ledger.Iterator, error) {
	l := s.stack.Ledger()
	if seek == nil {
		return l.Scan(opts)
	}
	it, err := l.Keys(opts)
	if err != nil {
		return nil, err
	}
	for range 3 {
		if it.Next() {
			a.entry(it.Entry())
		}
	}
	if it.Seek(seek) {
		a.entry(it.Entry())
	}
	return it, it.Err()
}

// walk notes the first entries that an iterator gives, and their values unless the limit is negative.
func (a *answer) walk(it ledger.Iterator, limit int) error {
	defer it.Close()
	values := limit >= 0
	if !values {
		limit = -limit - 1
	}
	for limit >= 0 && it.Next() {
		e := it.Entry()
		if e.Op != tlog.OpSegment {
			limit--
		}
		a.entry(e)
		if values {
			fmt.Fprintf(&a.exact, "leaf %v\n", e.Leaf)
			if err := a.value(e); err != nil {
				return err
			}
		}
	}
	return it.Err()
}

func (s *subject) prove(a *answer, key []byte, sel ledger.Selector) error {
	p, err := s.stack.Ledger().Prove(key, sel)
	if err != nil {
		return a.failed(err)
	}
	a.entry(p.Entry)
	fmt.Fprintf(&a.exact, "record %x leaf %v %v in %d with root %v\n%s", p.Record, p.Leaf, p.Inclusion, p.TreeSize, p.Root, p.Checkpoint)
	if err := merkle.VerifyInclusion(p.Leaf, p.Entry.Seq, p.TreeSize, p.Inclusion, p.Root); err != nil {
		return err
	}
	g := p.Segment // whether it is there yet, and in which segment, depends on the subject
	if g == nil {
		return nil
	}
	if err := s.segment(g.ID, g.Root); err != nil {
		return err
	}
	return merkle.VerifyInclusion(p.Leaf, g.Ordinal, g.Entries, g.Inclusion, g.Root)
}

// segment holds the root of a segment against that which others have built.
func (s *subject) segment(id string, root merkle.Hash) error {
	if other, ok := s.line.roots[id]; ok && other != root {
		return fmt.Errorf("segment %s has root %v here, %v elsewhere", id, root, other)
	}
	s.line.roots[id] = root
	return nil
}

func (s *subject) consistency(a *answer, o metaOp) error {
	size := s.stack.Ledger().NextSeq()
	from, to := min(s.line.seqOf(o.a), size), min(s.line.seqOf(o.b), size)
	old, now, proof, err := s.stack.Ledger().Consistency(from, to)
	if errors.Is(err, merkle.ErrRange) && from > to {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(&a.exact, "from %d with root %v to %d with root %v: %v\n", from, old, to, now, proof)
	return merkle.VerifyConsistency(from, to, old, now, proof)
}

// everything reads all there is, in every way.
func (s *subject) everything(a *answer) error {
	l := s.stack.Ledger()
	if err := agreesWithItself(l); err != nil {
		return err
	}
	for _, g := range l.Manifest().Segments {
		if err := s.segment(g.ID, g.Root); err != nil {
			return err
		}
	}
	it, err := l.Entries(0, false)
	if err == nil {
		err = a.walk(it, 1<<30)
	}
	if err != nil {
		return err
	}
	for _, reverse := range []bool{false, true} {
		it, err := l.Scan(ledger.ScanOptions{Reverse: reverse, Leaves: true, AsOf: ^uint64(0)})
		if err == nil {
			err = a.walk(it, 1<<30)
		}
		if err != nil {
			return err
		}
	}
	return s.everyKey(a)
}

func (s *subject) everyKey(a *answer) error {
	l := s.stack.Ledger()
	for i, asked := range s.line.asked {
		key := asked.cmd.Ops[0].Key
		if seq := s.line.newest[string(key)]; i%23 != 0 && s.line.results[asked.at].Receipt.FirstSeq != seq {
			continue // a few of the old ones, and the newest of each
		}
		if e, err := l.Get(key, ledger.Selector{}); err == nil {
			a.entry(e)
		} else if err := a.failed(err); err != nil {
			return err
		}
		it, err := l.History(key, ^uint64(0), false)
		if err == nil {
			err = a.walk(it, -10)
		}
		if err == nil {
			err = s.prove(a, key, ledger.Selector{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
