package client

import (
	"crypto/sha256"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// Claim is what a proof is to show.
type Claim struct {
	Key      string
	Seq      *uint64 // of that version; nil is whichever version the proof is of
	Value    []byte  // when HasValue is set: the version's value
	HasValue bool
}

// Evidence is what a checked proof showed.
type Evidence struct {
	Record       tlog.Record
	Leaf         merkle.Hash
	Checkpoint   tlog.Checkpoint
	ValueChecked bool
	Segment      *SegmentProof // nil when the entry is not sealed yet
	Pinned       bool          // the checkpoint was checked against an earlier one
	Steps        []Step        // what was checked, in order
}

// Step is one check that passed, told for people.
type Step struct{ Name, Detail string }

func (e *Evidence) passed(name, format string, args ...any) {
	e.Steps = append(e.Steps, Step{name, fmt.Sprintf(format, args...)})
}

// Check checks all that a proof shows by itself: everything but that its root is the ledger's, for which it must be
// compared with a checkpoint that is trusted (see Client.Verify). Errors are *ProofError; the Evidence beside one holds
// the steps that passed before it and proves nothing.
func (p *Proof) Check(claim Claim) (*Evidence, error) {
	e := &Evidence{}
	for _, step := range []func(*Proof, *Evidence, Claim) error{
		checkRecord, checkValue, checkLeaf, checkLedger, checkCheckpoint, checkSegment,
	} {
		if err := step(p, e, claim); err != nil {
			return e, err
		}
	}
	return e, nil
}

// checkRecord ties the record to the question: all that follows is about the record.
func checkRecord(p *Proof, e *Evidence, claim Claim) error {
	r, err := tlog.ParseRecord(p.Record)
	switch {
	case err != nil:
		return refuse("record", "%w", err)
	case r.Op != tlog.OpPut && r.Op != tlog.OpDelete:
		return refuse("record", "op %d is no version of a key", r.Op)
	case string(r.Key) != claim.Key:
		return refuse("record", "it is of the key %.100q, not %.100q", r.Key, claim.Key)
	case p.Key != claim.Key:
		return refuse("record", "it is of the key %.100q, and the answer says %.100q", r.Key, p.Key)
	case r.Seq != p.Seq:
		return refuse("record", "it is entry %d, the answer says %d", r.Seq, p.Seq)
	case claim.Seq != nil && r.Seq != *claim.Seq:
		return refuse("record", "it is entry %d, not %d", r.Seq, *claim.Seq)
	}
	e.Record = r
	what := fmt.Sprintf("a put of %d bytes", r.ValueSize)
	if r.Op == tlog.OpDelete {
		what = "a delete"
	}
	e.passed("record", "canonical; of this key; entry %d, %s", r.Seq, what)
	return nil
}

func checkValue(p *Proof, e *Evidence, claim Claim) error {
	r := &e.Record
	if p.ValueHash != r.ValueHash {
		return refuse("value", "value_sha256 is %s, the record says %s", p.ValueHash, r.ValueHash)
	}
	if !claim.HasValue {
		return nil
	}
	if r.Op == tlog.OpDelete {
		return refuse("value", "the record is a delete, and has no value")
	}
	if uint64(len(claim.Value)) != r.ValueSize {
		return refuse("value", "it has %d bytes, the record says %d", len(claim.Value), r.ValueSize)
	}
	if sum := merkle.Hash(sha256.Sum256(claim.Value)); sum != r.ValueHash {
		return refuse("value", "its SHA-256 is %s, the record says %s", sum, r.ValueHash)
	}
	e.ValueChecked = true
	e.passed("value", "%d bytes hash to %s, as the record says", len(claim.Value), r.ValueHash)
	return nil
}

func checkLeaf(p *Proof, e *Evidence, _ Claim) error {
	e.Leaf = merkle.LeafHash(p.Record)
	if e.Leaf != p.LeafHash {
		return refuse("leaf", "the record's leaf is %s, the answer says %s", e.Leaf, p.LeafHash)
	}
	e.passed("leaf", "%s", e.Leaf)
	return nil
}

func checkLedger(p *Proof, e *Evidence, _ Claim) error {
	l := &p.Ledger
	if l.Index != e.Record.Seq {
		return refuse("ledger", "the proof is for leaf %d, the entry is %d", l.Index, e.Record.Seq)
	}
	if err := merkle.VerifyInclusion(e.Leaf, l.Index, l.TreeSize, l.Proof, l.Root); err != nil {
		return refuse("ledger", "%w", err)
	}
	e.passed("ledger", "leaf %d of %d, %d hashes to root %s", l.Index, l.TreeSize, len(l.Proof), l.Root)
	return nil
}

func checkCheckpoint(p *Proof, e *Evidence, _ Claim) error {
	c, signatures, err := tlog.ParseCheckpoint(p.Ledger.Checkpoint)
	switch {
	case err != nil:
		return refuse("checkpoint", "%w", err)
	case c.Size != p.Ledger.TreeSize:
		return refuse("checkpoint", "it is of %d entries, the proof of %d", c.Size, p.Ledger.TreeSize)
	case c.Root != p.Ledger.Root:
		return refuse("checkpoint", "its root is %s, the proof's %s", c.Root, p.Ledger.Root)
	}
	e.Checkpoint = c
	note := "not signed"
	if signatures != "" {
		note = "signatures not checked"
	}
	e.passed("checkpoint", "of %s, the same size and root; %s", c.Origin, note)
	return nil
}

func checkSegment(p *Proof, e *Evidence, _ Claim) error {
	s := p.Segment
	if s == nil {
		return nil
	}
	first, last, err := tlog.ParseSegmentID(s.ID)
	switch {
	case err != nil:
		return refuse("segment", "%w", err)
	case e.Record.Seq < first || e.Record.Seq > last:
		return refuse("segment", "%s does not cover entry %d", s.ID, e.Record.Seq)
	// A segment covers its whole range of seqs. Compared so that nothing overflows. It may well reach beyond the
	// ledger tree of the answer: that tree's checkpoint can be older than the segment.
	case s.Entries == 0 || s.Entries-1 != last-first:
		return refuse("segment", "%s covers not %d entries", s.ID, s.Entries)
	}
	if err := merkle.VerifyInclusion(e.Leaf, s.Ordinal, s.Entries, s.Proof, s.Root); err != nil {
		return refuse("segment", "%w", err)
	}
	e.Segment = s
	e.passed("segment", "%s, leaf %d of %d, %d hashes to root %s", s.ID, s.Ordinal, s.Entries, len(s.Proof), s.Root)
	return nil
}
