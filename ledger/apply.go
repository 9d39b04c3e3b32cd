package ledger

import (
	"fmt"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tlog"
)

// Result is what became of one applied command: a receipt, or why it appended nothing.
type Result struct {
	Receipt Receipt
	// Err is *NotFoundError, *PreconditionError or ErrIdempotencyMismatch: an outcome, the same on every replica.
	Err error
}

// Apply applies one committed command, the raft entry (index, term). Calls come from one goroutine, in log order, each
// index once. What it does depends on the commands before it and on nothing else: no clock, no map order, no locale.
//
// An error means that this replica cannot tell what the command does, because its bytes or a segment it must look into
// are damaged, or because it has diverged: the node must stop, and must not apply what follows.
func (l *Ledger) Apply(index, term uint64, data []byte) (Result, error) {
	var result [1]Result
	_, err := l.ApplyBatch([]Committed{{index, term, data}}, result[:0])
	return result[0], err
}

// applyCommand applies a command to what is there and what is pending. What a write appends is pending afterwards.
func (l *Ledger) applyCommand(committed *Committed, res *Result) error {
	c := &l.command
	if err := c.decode(committed.Data); err != nil {
		return err
	}
	now := max(c.time, l.lastTime)
	if c.kind == kindWrite {
		return l.applyWrite(&c.write, c.found, now, len(committed.Data), res)
	}
	// All others act on the ledger as readers know it.
	if err := l.show(); err != nil {
		return err
	}
	switch c.kind {
	case kindSeal:
		l.applySeal(c.first, committed.Index, committed.Term)
		res.Receipt.FirstSeq = l.next
	case kindRecord:
		return l.applyRecord(c.desc, now)
	case kindMerge:
		if l.applyMerge(c.merge) {
			res.Receipt.Count = 1
		}
	case kindTiered:
		if l.applyTiered(&c.tiered) {
			res.Receipt.Count = 1
		}
	case kindCheck:
		return l.applyCheck(c.check)
	}
	return nil
}

func (l *Ledger) applyWrite(w *Command, found Findings, now int64, commandBytes int, res *Result) error {
	if w.IdempotencyKey != "" {
		if r := l.memory.find(w.IdempotencyKey); r != nil {
			return l.applyAgain(w, r, res)
		}
	}
	var err error
	if res.Err, err = l.judgeApplied(w, found); res.Err != nil || err != nil {
		return err
	}
	res.Receipt = Receipt{FirstSeq: l.next, Count: uint64(len(w.Ops)), Time: now}
	p := &l.pending
	p.receipts = append(p.receipts, unsigned{l.next, &res.Receipt.LeafHash})
	if w.IdempotencyKey != "" {
		r := &remembered{key: w.IdempotencyKey, request: w.RequestHash, firstSeq: l.next, count: uint64(len(w.Ops)), time: now}
		p.receipts = append(p.receipts, unsigned{l.next, &r.leaf})
		l.memory.add(r)
	}
	var e Entry
	for i := range w.Ops {
		op := &w.Ops[i]
		e.Record = tlog.Record{Op: op.Op, Seq: l.next, Time: now, Key: op.Key, ContentType: op.ContentType,
			Principal: w.Principal, ValueSize: uint64(len(op.Value))}
		e.Value = op.Value
		// A value that is the better part of its command stays in it: the memtable keeps the command, which nobody changes
		// any more, instead of a copy.
		l.add(&e, 2*len(op.Value) >= commandBytes)
	}
	return nil
}

// applyAgain applies a write under an idempotency key that has been used.
func (l *Ledger) applyAgain(w *Command, r *remembered, res *Result) error {
	if r.request != w.RequestHash {
		res.Err = ErrIdempotencyMismatch
		return nil
	}
	if r.firstSeq >= l.published.Load() { // in this batch, and without its leaf hash
		if err := l.show(); err != nil {
			return err
		}
	}
	res.Receipt = Receipt{FirstSeq: r.firstSeq, Count: r.count, Time: r.time, LeafHash: r.leaf, Replayed: true}
	return nil
}

// applySeal freezes the active memtable, if it is the one meant and holds anything, together with the state that the
// manifest will store beside its segment: the state at this entry, not at the end of the flush.
func (l *Ledger) applySeal(first, index, term uint64) {
	if l.next == l.active.first || (first != sealAny && first != l.active.first) {
		return
	}
	s := &sealed{
		mem:       l.active,
		last:      l.next - 1,
		index:     index,
		term:      term,
		frontier:  l.tree.Load().Frontier(),
		time:      l.lastTime,
		partition: l.partition.Load(),
		memory:    l.memory.snapshot(),
		members:   l.members,
	}
	l.active = newMemtable(l.next, l.active.keys())
	l.sealedThrough = l.next
	l.swap(func(v *view) {
		v.active = l.active
		v.sealed = append([]*sealed{s}, v.sealed...)
	})
	l.flusher.poke()
}

// applyRecord makes a segment's existence part of the ledger. Each segment is recorded once: those of memtables in seq
// order, that of a merge when it was decided before. A command that records anything else is one that the leader
// proposed twice.
func (l *Ledger) applyRecord(d tlog.Descriptor, now int64) error {
	before := l.partition.Load()
	next := before.withRecorded(manifest.Recorded{FirstSeq: d.FirstSeq, LastSeq: d.LastSeq, Root: d.Root})
	if next == nil || d.LastSeq >= l.sealedThrough {
		return nil
	}
	s, err := l.compareRecord(d, d.LastSeq < before.through())
	if err != nil {
		return err
	}
	value := d.Append(nil)
	l.add(&Entry{Value: value, Record: tlog.Record{Op: tlog.OpSegment, Seq: l.next, Time: now, Key: []byte(d.ID()),
		ValueSize: uint64(len(value))}}, false)
	if err := l.show(); err != nil {
		return err
	}
	l.partition.Store(next)
	if s == nil {
		l.partitionChanged()
		return nil
	}
	// Only now may the segment be installed: whoever waits for that sees the record.
	return l.recordSealed(s, d)
}

// compareRecord holds a recorded segment against this replica's own: installed (the log is being replayed), built, or
// still to be built, in which case it is compared later. The first result is the memtable it is to be built from; nil
// when it is there already, or is a merge's.
func (l *Ledger) compareRecord(d tlog.Descriptor, merge bool) (*sealed, error) {
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	defer v.release()
	s, installed := v.state.Segment(d.FirstSeq)
	switch {
	case installed && s.FirstSeq <= d.FirstSeq && s.LastSeq >= d.LastSeq && s.Entries > d.Entries:
		return nil, nil // part of a merge, and compared before that: the log is being replayed
	case merge && (!installed || s.LastSeq < d.LastSeq):
		return nil, l.compareMerged(d)
	case installed:
		return nil, sameDescriptor(d, tlog.Descriptor{FirstSeq: s.FirstSeq, LastSeq: s.LastSeq, Entries: s.Entries, Root: s.Root})
	}
	for _, s := range v.sealed {
		if s.mem.first == d.FirstSeq {
			return s, l.compareSealed(s, d)
		}
	}
	return nil, &DivergedError{What: "segment " + d.ID(), Detail: "recorded, but this replica never sealed it"}
}

// applyMerge decides that neighbouring segments become one, unless they are not what the log has recorded, or a merge
// of some of them is decided already: then the command is one that the leader proposed twice, or too late.
func (l *Ledger) applyMerge(r manifest.Range) bool {
	p := l.partition.Load()
	if !p.admits(r) {
		return false
	}
	l.partition.Store(p.withMerge(r))
	l.partitionChanged()
	return true
}

func sameDescriptor(recorded, own tlog.Descriptor) error {
	if recorded == own {
		return nil
	}
	return &DivergedError{What: "segment " + recorded.ID(),
		Detail: fmt.Sprintf("recorded root %v of %d entries, own segment %s has root %v", recorded.Root, recorded.Entries,
			own.ID(), own.Root)}
}

// SetMembers gives the cluster membership as of the last applied configuration entry, to be stored at the next seal.
// For the apply loop.
func (l *Ledger) SetMembers(members []byte) { l.members = members }
