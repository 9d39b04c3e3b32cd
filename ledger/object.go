package ledger

import (
	"encoding/binary"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
)

// That a segment has a verified copy in the object store is part of the replicated state: whoever uploaded it, and read it
// back, has the log say so (a tiered command), and from there on any replica may give up its own file (evict.go). What a
// replica has on its disk is its own affair.

// tiered is the body of a tiered command.
type tiered struct {
	manifest.Range
	root   merkle.Hash
	object manifest.Object
}

// encodeTiered returns the command that gives the recorded segment of a range its object.
func encodeTiered(t *tiered) []byte {
	b := make([]byte, commandHeaderBytes, commandHeaderBytes+4*8+2*merkle.HashSize+2+len(t.object.Name))
	b[0] = byte(kindTiered)
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, t.FirstSeq), t.LastSeq)
	b = append(b, t.root[:]...)
	b = binary.BigEndian.AppendUint64(b, t.object.Bytes)
	b = append(b, t.object.SHA256[:]...)
	b = binary.BigEndian.AppendUint64(b, t.object.MetaOffset)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.object.Name)))
	return append(b, t.object.Name...)
}

func (d *decoder) tiered() (t tiered) {
	t.FirstSeq, t.LastSeq, t.root = d.u64(), d.u64(), d.hash()
	t.object.Bytes, t.object.SHA256, t.object.MetaOffset = d.u64(), d.hash(), d.u64()
	t.object.Name = string(d.take(uint64(d.u8())<<8 | uint64(d.u8())))
	if !t.object.Exists() || t.object.Validate() != nil {
		d.bad = true
	}
	return t
}

// applyTiered attaches an object to the recorded segment of exactly these entries, if it has none. Else the command is one
// that was proposed twice, by two uploaders, or too late: the segment is part of a merged one by now.
func (l *Ledger) applyTiered(t *tiered) bool {
	next := l.partition.Load().withObject(t)
	if next == nil {
		return false
	}
	l.partition.Store(next)
	l.partitionChanged()
	return true
}

// withObject returns the partition in which a recorded segment has its object; nil when there is no such segment, or it
// has one.
func (p *partition) withObject(t *tiered) *partition {
	at, to, ok := p.find(t.Range)
	if !ok || at != to || p.recorded[at].Root != t.root || p.recorded[at].Object.Exists() {
		return nil
	}
	next := &partition{recorded: append([]manifest.Recorded(nil), p.recorded...), merges: p.merges}
	next.recorded[at].Object = t.object
	return next
}

// TieredWant is the want to have the log say that a segment has its object. It is for whoever has uploaded it, and read
// all of it back: from then on members give up their own copies.
func TieredWant(g manifest.Segment, object manifest.Object) Want {
	t := tiered{manifest.Range{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq}, g.Root, object}
	return Want{Key: WantKey{Kind: kindTiered, First: t.FirstSeq, Last: t.LastSeq}, Data: encodeTiered(&t)}
}

// Untiered returns the segments that have no object and could get one from here, by ascending seq: recorded, and
// installed here as they were recorded, and not about to be merged.
func (l *Ledger) Untiered() []manifest.Segment {
	p, state := l.partition.Load(), l.peek().state
	var out []manifest.Segment
	for _, r := range p.recorded {
		if r.Object.Exists() || p.busy(manifest.Range{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq}) {
			continue
		}
		g, ok := state.Segment(r.FirstSeq)
		if ok && g.FirstSeq == r.FirstSeq && g.LastSeq == r.LastSeq && g.Root == r.Root {
			out = append(out, g)
		}
	}
	return out
}

// Objects returns the recorded segments that have objects, by ascending seq, as of the last applied command.
func (l *Ledger) Objects() []manifest.Recorded {
	var out []manifest.Recorded
	for _, r := range l.partition.Load().recorded {
		if r.Object.Exists() {
			out = append(out, r)
		}
	}
	return out
}

// Outdated returns the object of a segment that this member has evicted and the log has merged away; false when that is
// not so. Nobody keeps such an object good any more, and it may go from the store any time.
func (l *Ledger) Outdated(id string) (manifest.Object, bool) {
	for _, g := range l.peek().state.Segments {
		if g.Tier != manifest.Cold || infoOf(g).ID != id {
			continue
		}
		for _, r := range l.partition.Load().recorded {
			if r.FirstSeq <= g.FirstSeq && g.LastSeq <= r.LastSeq && r.LastSeq-r.FirstSeq > g.LastSeq-g.FirstSeq {
				return g.Object, true
			}
		}
	}
	return manifest.Object{}, false
}
