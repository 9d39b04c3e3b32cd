package node

import "context"

// CompactResult says what a compaction did.
type CompactResult struct {
	Segments []string // ids of the segments made, in seq order
	Merged   int      // segments that they took the place of
	Left     int      // segments that there are now
}

// Compact merges segments until the plan wants nothing more merged or, with all set, until as few are left as the limits
// allow, and all of it is done on this node. One goes on at a time; others wait for it. Errors: *Unavailable.
func (n *Node) Compact(ctx context.Context, all bool) (CompactResult, error) {
	if err := n.enter(ctx, n.compacting, "compaction"); err != nil {
		return CompactResult{}, err
	}
	defer func() { <-n.compacting }()
	before := n.ledger.Manifest().Segments
	for {
		if err := n.ledger.WaitMerges(ctx); err != nil {
			return CompactResult{}, unfinished("not all merges are done yet", err)
		}
		wants := n.ledger.MergesLeft(all)
		if len(wants) == 0 {
			break
		}
		// Whoever leads decides them, unless that has been done already: then they do nothing.
		for _, w := range wants {
			if _, err := n.submit(ctx, newProposal(w.Data)); err != nil {
				return CompactResult{}, err
			}
		}
	}
	out := CompactResult{Left: len(n.ledger.Manifest().Segments)}
	out.Segments, out.Merged = n.ledger.SegmentsOf(before)
	return out, nil
}
