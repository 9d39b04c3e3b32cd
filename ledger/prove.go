package ledger

import (
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// Prove proves a version of key: the newest, a tombstone too, or with BySeq that one, in the tree of everything applied
// so far and, once it is sealed, in its segment's tree. *NotFoundError when the key was never written,
// ErrVersionNotFound when BySeq does not name a version of it.
//
// The record is built again from what is stored, and a small value hashed again, so an entry that no longer gives the
// leaf that the trees hold is a *vfs.CorruptError here, whatever its checksums say. A large value is not read for this:
// its hash is stored beside it, and whoever reads the value can compare.
func (l *Ledger) Prove(key []byte, sel Selector) (_ *Proof, err error) {
	defer func() { l.noteDamage(err) }()
	e, err := l.version(key, sel, true)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, &NotFoundError{}
	}
	own := *e
	own.Sum()
	p := &Proof{Entry: &own}
	if p.Record, err = tlog.AppendRecord(nil, &own.Record); err != nil {
		return nil, err
	}
	p.Leaf = merkle.LeafHash(p.Record)
	if err := l.proveSegment(p); err != nil {
		return nil, err
	}
	if err := l.proveLedger(p); err != nil {
		return nil, err
	}
	return p, nil
}

func (l *Ledger) proveSegment(p *Proof) error {
	v, err := l.acquire()
	if err != nil {
		return err
	}
	defer v.release()
	seq := p.Entry.Seq
	t := v.tableOf(seq)
	if t == nil {
		return nil
	}
	if err := t.leafOf(p.Entry); err != nil {
		return err
	}
	if p.Entry.Leaf != p.Leaf {
		return &vfs.CorruptError{File: l.segmentFile(t.Info().ID), Reason: fmt.Sprintf(
			"entry %d gives leaf hash %v, but its segment holds %v; restore the segment from a peer or a backup",
			seq, p.Leaf, p.Entry.Leaf)}
	}
	info := t.Info()
	ordinal, err := t.Ordinal(seq)
	if err != nil {
		return err
	}
	path, err := t.Inclusion(ordinal)
	if err != nil {
		return err
	}
	p.Segment = &SegmentProof{ID: info.ID, Ordinal: ordinal, Entries: info.Entries, Root: info.Root, Inclusion: path}
	return nil
}

func (l *Ledger) proveLedger(p *Proof) error {
	var err error
	p.TreeSize = l.NextSeq()
	if p.Root, err = l.tree.Load().RootAt(p.TreeSize, l); err != nil {
		return err
	}
	if p.Inclusion, err = l.tree.Load().Inclusion(p.Entry.Seq, p.TreeSize, l); err != nil {
		return err
	}
	checkpoint := tlog.Checkpoint{Origin: l.opts.Origin, Size: p.TreeSize, Root: p.Root}
	p.Checkpoint, err = checkpoint.Text()
	return err
}

// Consistency returns the roots of the ledger's first from and first to entries and the proof that the one is a prefix
// of the other (RFC 6962 §2.1.2). merkle.ErrRange unless from <= to <= NextSeq.
func (l *Ledger) Consistency(from, to uint64) (fromRoot, toRoot merkle.Hash, proof []merkle.Hash, err error) {
	if next := l.NextSeq(); from > to || to > next {
		return fromRoot, toRoot, nil, fmt.Errorf("%w: from %d to %d of %d", merkle.ErrRange, from, to, next)
	}
	defer func() { l.noteDamage(err) }()
	if fromRoot, err = l.tree.Load().RootAt(from, l); err != nil {
		return
	}
	if toRoot, err = l.tree.Load().RootAt(to, l); err != nil {
		return
	}
	proof, err = l.tree.Load().Consistency(from, to, l)
	return
}

// Root returns the ledger's size and the root of its tree, as of one moment.
func (l *Ledger) Root() (size uint64, root merkle.Hash) {
	f := l.tree.Load().Frontier()
	return f.Size(), f.Root()
}
