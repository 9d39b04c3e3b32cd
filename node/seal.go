package node

import (
	"context"

	"github.com/scribe-ledger/scribe/ledger"
)

// Seal makes everything committed before the call part of durable, recorded segments, and says which segments that made.
// One seal goes on at a time; others wait for it. Errors: *Unavailable.
func (n *Node) Seal(ctx context.Context) (SealResult, error) {
	if err := n.enter(ctx, n.sealing, "seal"); err != nil {
		return SealResult{}, err
	}
	defer func() { <-n.sealing }()
	before, _ := n.ledger.Installed()
	result, err := n.submit(ctx, newProposal(ledger.SealNow()))
	if err != nil {
		return SealResult{}, err
	}
	through := result.Receipt.FirstSeq
	if err := n.ledger.WaitInstalled(ctx, through); err != nil {
		return SealResult{}, unfinished("sealed, but not all is in segments yet", err)
	}
	out := SealResult{Segments: []string{}, Any: through > 0}
	if through > 0 {
		out.SealedThrough = through - 1
	}
	for _, s := range n.ledger.Manifest().Segments {
		if s.FirstSeq >= before && s.LastSeq < through {
			out.Segments = append(out.Segments, s.ID)
		}
	}
	return out, nil
}
