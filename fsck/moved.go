package fsck

import (
	"slices"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/tier"
)

// mergedSince are the objects of the manifest that a newer publication does not name: a cluster may have deleted them.
func (b *bucketChecker) mergedSince(now archive.Latest) map[string]bool {
	p, err := archive.ReadVersion(b.ctx, b.store, now)
	if err != nil || b.state == nil {
		return nil
	}
	merged := make(map[string]bool)
	for i := range b.state.Segments {
		merged[objectOf(&b.state.Segments[i])] = true
	}
	for i := range p.State.Segments {
		delete(merged, objectOf(&p.State.Segments[i]))
	}
	return merged
}

// checkMoved looks whether something was published meanwhile: then what was found stale is not, and what was merged may be
// gone.
func (b *bucketChecker) checkMoved() error {
	if b.latest.Version == 0 {
		return nil
	}
	now, err := archive.ReadLatest(b.ctx, b.store)
	if err != nil || now.Version <= b.latest.Version {
		return nil
	}
	r, merged, swept := b.report, b.mergedSince(now), 0
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool {
		switch {
		case f.Kind == KindStale:
			r.Damaged--
		case f.Kind == KindSegmentMissing && merged[f.File]:
			r.Damaged--
			swept++
		case f.Kind == KindUnreadable && merged[f.File]:
			r.Unread--
			swept++
		default:
			return false
		}
		return true
	})
	if swept > 0 {
		b.notice(KindNotChecked, tier.SegmentPrefix, "check again",
			"%d segments were merged and deleted during the check", swept)
	}
	b.notice(KindNote, tier.LatestName, "", "version %d was published during the check, version %d was checked",
		now.Version,
		b.latest.Version)
	return nil
}
