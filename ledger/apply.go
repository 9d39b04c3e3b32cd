package ledger

import (
	"crypto/sha256"
	"fmt"
	"slices"

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
	c, err := decodeCommand(data)
	if err != nil {
		return Result{}, fmt.Errorf("apply entry %d of term %d: %w", index, term, err)
	}
	now := max(c.time, l.lastTime)
	var res Result
	switch c.kind {
	case kindWrite:
		res, err = l.applyWrite(&c.write, now, len(data))
	case kindSeal:
		l.applySeal(c.first, index, term)
		res.Receipt.FirstSeq = l.next
	case kindRecord:
		err = l.applyRecord(c.desc, now)
	case kindMerge:
		if l.applyMerge(c.merge) {
			res.Receipt.Count = 1
		}
	case kindCheck:
		err = l.applyCheck(c.check)
	}
	if err == nil {
		err = l.crossChecks()
	}
	if err != nil {
		l.noteDamage(err)
		return Result{}, fmt.Errorf("apply entry %d of term %d: %w", index, term, err)
	}
	l.applied.Store(index)
	return res, nil
}

func (l *Ledger) applyWrite(w *Command, now int64, commandBytes int) (Result, error) {
	if w.IdempotencyKey != "" {
		if r := l.memory.find(w.IdempotencyKey); r != nil {
			if r.request != w.RequestHash {
				return Result{Err: ErrIdempotencyMismatch}, nil
			}
			return Result{Receipt: Receipt{FirstSeq: r.firstSeq, Count: r.count, Time: r.time, LeafHash: r.leaf,
				Replayed: true}}, nil
		}
	}
	if outcome, err := l.judge(w); outcome != nil || err != nil {
		return Result{Err: outcome}, err
	}
	entries := l.draft(w, now)
	hashEntries(entries)
	rec := Receipt{FirstSeq: l.next, Count: uint64(len(entries)), Time: now, LeafHash: entries[0].Leaf}
	l.append(entries, now, commandBytes)
	if w.IdempotencyKey != "" {
		l.memory.add(&remembered{key: w.IdempotencyKey, request: w.RequestHash, firstSeq: rec.FirstSeq,
			count: rec.Count, time: now, leaf: rec.LeafHash})
	}
	return Result{Receipt: rec}, nil
}

// maxDraft bounds how many entries' room is kept for the next command.
const maxDraft = 1024

// draft makes the entries of a command, but for their hashes. They are valid until the next call.
func (l *Ledger) draft(w *Command, now int64) []Entry {
	entries := l.drafts[:0]
	for i := range w.Ops {
		op := &w.Ops[i]
		entries = append(entries, Entry{Value: op.Value, Record: tlog.Record{Op: op.Op, Seq: l.next + uint64(i), Time: now,
			Key: op.Key, ContentType: op.ContentType, Principal: w.Principal, ValueSize: uint64(len(op.Value))}})
	}
	if cap(entries) <= maxDraft {
		l.drafts = entries
	}
	return entries
}

// hashEntries computes what the trees commit to: the hash of each value, and the leaf hash over each record.
func hashEntries(entries []Entry) {
	for i := range entries {
		e := &entries[i]
		e.ValueHash = sha256.Sum256(e.Value)
		e.Leaf = e.LeafHash()
	}
}

// append makes entries, whose seqs begin at next, part of the ledger, all at once for readers. The entries alias a
// command of commandBytes.
func (l *Ledger) append(entries []Entry, now int64, commandBytes int) {
	for i := range entries {
		l.leaves = append(l.leaves, entries[i].Leaf)
	}
	l.tree.Load().Append(l.leaves...)
	l.leaves = l.leaves[:0]
	l.store(entries, now, commandBytes)
}

// store puts entries into the memtable and shows them to readers. A value that is the better part of its command stays
// in it: the memtable keeps the command, which nobody changes any more, instead of a copy.
func (l *Ledger) store(entries []Entry, now int64, commandBytes int) {
	for i := range entries {
		l.active.add(&entries[i], 2*len(entries[i].Value) >= commandBytes)
	}
	l.next += uint64(len(entries))
	l.lastTime = now
	l.published.Store(l.next)
	clear(entries) // they must not hold commands that nobody else does
}

// judge checks a command against the state before it: conditions, and that what is deleted is live. The first result is
// the outcome that stops it.
func (l *Ledger) judge(w *Command) (outcome, err error) {
	for i := range w.Ops {
		op := &w.Ops[i]
		if op.Op != tlog.OpDelete && len(op.Conditions) == 0 {
			continue
		}
		e, err := l.newest(op.Key)
		if err != nil {
			return nil, err
		}
		live := e != nil && e.Op == tlog.OpPut
		for _, c := range op.Conditions {
			if !c.holds(e, live) {
				out := &PreconditionError{OpIndex: i, Exists: e != nil}
				if e != nil {
					out.Seq = e.Seq
				}
				return out, nil
			}
		}
		if op.Op == tlog.OpDelete && !live {
			out := &NotFoundError{OpIndex: i, Tombstone: e != nil}
			if e != nil {
				out.Seq = e.Seq
			}
			return out, nil
		}
	}
	return nil, nil
}

func (c *Condition) holds(newest *Entry, live bool) bool {
	switch c.Kind {
	case IfMatch:
		return live && (c.Any || slices.Contains(c.Seqs, newest.Seq))
	default: // IfNoneMatch; decodeCommand admits no other
		return !live || (!c.Any && !slices.Contains(c.Seqs, newest.Seq))
	}
}

// Check looks up what Apply will have to look up for a command, so that damage is found, and answered to the one client
// it concerns, before the command is in the log of every replica. Its error is *vfs.CorruptError or an I/O error.
func (l *Ledger) Check(w *Command) error {
	_, err := l.judge(w)
	l.noteDamage(err)
	return err
}

// newest returns the newest version of a key, without its value, for the apply loop and for Check; nil if never written.
func (l *Ledger) newest(key []byte) (*Entry, error) {
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	defer v.release()
	return v.get(key, ^uint64(0), true)
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
	s, err := l.compareRecord(d, d.FirstSeq < before.through())
	if err != nil {
		return err
	}
	value := d.Append(nil)
	e := &Entry{Value: value}
	e.Record = tlog.Record{Op: tlog.OpSegment, Seq: l.next, Time: now, Key: []byte(d.ID()),
		ValueSize: uint64(len(value)), ValueHash: sha256.Sum256(value)}
	e.Leaf = e.LeafHash()
	l.append([]Entry{*e}, now, len(value))
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
