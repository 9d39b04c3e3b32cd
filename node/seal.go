package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
)

// Seal makes everything committed before the call part of durable, recorded segments, and says which segments that made.
// Errors: *Unavailable.
func (n *Node) Seal(ctx context.Context) (SealResult, error) {
	n.sealing.Lock()
	defer n.sealing.Unlock()
	before, _ := n.ledger.Installed()
	result, err := n.submit(ctx, ledger.SealNow())
	if err != nil {
		return SealResult{}, err
	}
	through := result.Receipt.FirstSeq
	if err := n.ledger.WaitInstalled(ctx, through); err != nil {
		reason := NotReady
		switch {
		case vfs.IsNoSpace(err):
			reason = DiskFull
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			reason = OutcomeUnknown
		}
		return SealResult{}, &Unavailable{Reason: reason, Detail: fmt.Sprintf("sealed, but not all is in segments yet: %v", err)}
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
