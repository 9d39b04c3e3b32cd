package ledger

import (
	"cmp"
	"slices"
	"sort"

	"github.com/scribe-ledger/scribe/manifest"
)

// partition is what the log says of segments, as of some entry: those it has recorded, which split the ledger's front,
// and the merges of neighbours among them that were decided and not recorded yet. It follows from the log alone,
// whatever this replica has built and installed. It never changes; each edit makes a new one. The apply loop edits it;
// others read the one that is published.
type partition struct {
	recorded []manifest.Recorded // contiguous from seq 0
	merges   []manifest.Range    // ascending, each two or more of recorded
}

// through is how many entries the recorded segments hold.
func (p *partition) through() uint64 {
	if n := len(p.recorded); n > 0 {
		return p.recorded[n-1].LastSeq + 1
	}
	return 0
}

// find returns the places of the recorded segments in which a range begins and ends; false unless it consists of whole
// ones.
func (p *partition) find(r manifest.Range) (from, to int, ok bool) {
	if r.FirstSeq > r.LastSeq || r.LastSeq >= p.through() {
		return 0, 0, false
	}
	from, to = p.holder(r.FirstSeq), p.holder(r.LastSeq)
	return from, to, p.recorded[from].FirstSeq == r.FirstSeq && p.recorded[to].LastSeq == r.LastSeq
}

// holder returns the place of the recorded segment that holds seq, which must be below through.
func (p *partition) holder(seq uint64) int {
	return sort.Search(len(p.recorded), func(i int) bool { return p.recorded[i].LastSeq >= seq })
}

// is returns the recorded segment of exactly these seqs.
func (p *partition) is(r manifest.Range) (manifest.Recorded, bool) {
	from, to, ok := p.find(r)
	if !ok || from != to {
		return manifest.Recorded{}, false
	}
	return p.recorded[from], true
}

// pending says whether the merge of exactly these seqs was decided and is not recorded.
func (p *partition) pending(r manifest.Range) bool { return slices.Contains(p.merges, r) }

// busy says whether a pending merge has seqs of the range.
func (p *partition) busy(r manifest.Range) bool {
	return slices.ContainsFunc(p.merges, func(m manifest.Range) bool {
		return m.FirstSeq <= r.LastSeq && r.FirstSeq <= m.LastSeq
	})
}

// admits says whether a merge may be decided: of two or more whole recorded segments that no pending merge is about,
// while there is room for one more.
func (p *partition) admits(r manifest.Range) bool {
	from, to, ok := p.find(r)
	return ok && from < to && len(p.merges) < manifest.MaxMerges && !p.busy(r)
}

// withMerge returns the partition with a merge decided that it admits.
func (p *partition) withMerge(r manifest.Range) *partition {
	merges := append(slices.Clone(p.merges), r)
	slices.SortFunc(merges, func(a, b manifest.Range) int { return cmp.Compare(a.FirstSeq, b.FirstSeq) })
	return &partition{recorded: p.recorded, merges: merges}
}

// withRecorded returns the partition with a segment recorded: one behind those there are, or a pending merge's in the
// place of those it consists of; or, in a restored ledger alone, one in the place of the last ones that reaches beyond them
// (restored.go). nil when it is none of these.
func (p *partition) withRecorded(s manifest.Recorded) *partition {
	r := manifest.Range{FirstSeq: s.FirstSeq, LastSeq: s.LastSeq}
	if s.FirstSeq == p.through() {
		return &partition{recorded: append(p.recorded[:len(p.recorded):len(p.recorded)], s), merges: p.merges}
	}
	if s.FirstSeq < p.through() && s.LastSeq >= p.through() { // compareRecord has found it here
		from := p.holder(s.FirstSeq)
		if p.recorded[from].FirstSeq != s.FirstSeq || p.busy(r) {
			return nil
		}
		return &partition{recorded: append(p.recorded[:from:from], s), merges: p.merges}
	}
	if !p.pending(r) {
		return nil
	}
	from, to, _ := p.find(r)
	return &partition{
		recorded: slices.Concat(p.recorded[:from], []manifest.Recorded{s}, p.recorded[to+1:]),
		merges:   slices.DeleteFunc(slices.Clone(p.merges), func(m manifest.Range) bool { return m == r }),
	}
}

// partitionOf is the partition as of a seal point.
func partitionOf(p *manifest.SealPoint) *partition {
	return &partition{recorded: p.Recorded, merges: p.Merges}
}
