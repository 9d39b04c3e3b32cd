package ledger

import "github.com/scribe-ledger/scribe/segfile"

// passing is a source around another one, of which it has all that a source may have beside: whoever embeds it overrides what
// it changes.
type passing struct{ segfile.Source }

// Lend implements segfile.Lender.
func (s passing) Lend(off, n int64) ([]byte, segfile.Loan) {
	if p, ok := s.Source.(segfile.Lender); ok {
		return p.Lend(off, n)
	}
	return nil, nil
}

// Prefetch implements segfile.Prefetcher.
func (s passing) Prefetch(off, n int64) bool {
	p, ok := s.Source.(segfile.Prefetcher)
	return !ok || p.Prefetch(off, n)
}

// Coming implements segfile.Prefetcher.
func (s passing) Coming(off int64) bool {
	p, ok := s.Source.(segfile.Prefetcher)
	return ok && p.Coming(off)
}

// ReadFresh implements segfile.Refresher.
func (s passing) ReadFresh(p []byte, off int64) (int, error) {
	if r, ok := s.Source.(segfile.Refresher); ok {
		return r.ReadFresh(p, off)
	}
	return s.Source.ReadAt(p, off)
}
