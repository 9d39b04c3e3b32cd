package ledger

import (
	"github.com/scribe-ledger/scribe/manifest"
)

// Placed is a segment of the manifest, and where it is here.
type Placed struct {
	// Segment is as this member has it: Bytes are those of its file or, when it is cold, of the object. Its Object is set
	// once the log has recorded one, whether the manifest on disk lists it yet or not.
	manifest.Segment
	Cold bool
	// Reads are lookups that found something in it, and scans that began there, since its file was opened, or given up; only
	// with Options.Cold.
	Reads uint64
}

// Placed returns the segments of the manifest by ascending seq; none while there is no state, or after Close.
func (l *Ledger) Placed() []Placed {
	p := l.partition.Load()
	v, err := l.acquire()
	if err != nil {
		return nil
	}
	defer v.release()
	out := make([]Placed, len(v.tables))
	for i, t := range v.tables {
		g := v.state.Segments[i]
		if r, ok := p.is(manifest.Range{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq}); ok && r.Root == g.Root &&
			!g.Object.Exists() {
			g.Object = r.Object
		}
		out[i] = Placed{Segment: g, Cold: t.cold(), Reads: t.reads.Load()}
	}
	return out
}

// Recorded returns the recorded segments by ascending seq, as of the last applied command. The caller must not change them.
func (l *Ledger) Recorded() []manifest.Recorded { return l.partition.Load().recorded }

// Holder returns the recorded segment that has all of these seqs; false when there is none.
func (l *Ledger) Holder(r manifest.Range) (manifest.Recorded, bool) {
	p := l.partition.Load()
	if r.FirstSeq > r.LastSeq || r.LastSeq >= p.through() {
		return manifest.Recorded{}, false
	}
	h := p.recorded[p.holder(r.LastSeq)]
	return h, h.FirstSeq <= r.FirstSeq
}

// LacksObject says whether a segment is recorded as it is given, and has no object.
func (l *Ledger) LacksObject(g *manifest.Segment) bool {
	r, ok := l.partition.Load().is(manifest.Range{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq})
	return ok && r.Root == g.Root && !r.Object.Exists()
}

// read counts a lookup that found something in t, or a scan.
func (t *table) read() {
	if t.owner.opts.Cold != nil { // it costs a little
		t.reads.Add(1)
	}
}
