package ledger

import (
	"errors"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/vfs"
)

// errMergedAway is why an object of a segment that was merged cannot be read. It may have been swept.
var errMergedAway = errors.New(
	"the segment was merged meanwhile and its object is gone; it is read again once the merge's object is known here")

// coldSource is the source of a cold table. An object that is missing is damage of the archive; but not that of a segment
// which the log has merged since: nobody keeps it good, and this member has only to take the merge from the store
// (nextMerge). Reads of it fail until then as they do when the store is away.
type coldSource struct {
	passing
	t *table
}

// ReadAt implements segfile.Source.
func (s coldSource) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.Source.ReadAt(p, off)
	return n, s.judge(off, err)
}

// ReadFresh implements segfile.Refresher.
func (s coldSource) ReadFresh(p []byte, off int64) (n int, err error) {
	n, err = s.passing.ReadFresh(p, off)
	return n, s.judge(off, err)
}

// judge makes of an error what readers get. The owner is told of the damage all the same: there may be no such merge in the
// store, and then it has to come from the other members.
func (s coldSource) judge(off int64, err error) error {
	if err == nil || uint64(off) >= s.t.object.MetaOffset || !errors.As(err, new(*vfs.CorruptError)) || !s.t.mergedAway() {
		return err
	}
	s.t.owner.noteDamage(err)
	return s.t.failed(errMergedAway)
}

// mergedAway says whether the log has recorded a merge that this segment is part of.
func (t *table) mergedAway() bool {
	p := t.owner.partition.Load()
	if p == nil || t.last >= p.through() {
		return false
	}
	r := p.recorded[p.holder(t.last)]
	return r.FirstSeq < t.first || r.FirstSeq == t.first && t.last < r.LastSeq
}

// adoptable returns the recorded merges that this replica may take from the store in place of building them: those of which
// some input is there only. That takes a meta tail of each, and what it makes superfluous may go from the store any time;
// so it comes first, also where a larger merge is pending.
func (v *view) adoptable(p *partition) (spans []manifest.Range) {
	at := 0
	for _, r := range p.recorded {
		if !r.Object.Exists() {
			continue
		}
		for at < len(v.tables) && v.tables[at].last < r.FirstSeq {
			at++
		}
		for i := at; i < len(v.tables) && v.tables[i].last <= r.LastSeq; i++ {
			if t := v.tables[i]; t.cold() && (t.first != r.FirstSeq || t.last != r.LastSeq) {
				spans = append(spans, manifest.Range{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq})
				break
			}
		}
	}
	return spans
}
