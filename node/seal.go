package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
)

// Seal makes everything committed before the call part of durable, recorded segments, and says which segments that made.
// One seal goes on at a time; others wait for it. Errors: *Unavailable.
func (n *Node) Seal(ctx context.Context) (SealResult, error) {
	if err := n.beginSeal(ctx); err != nil {
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

// beginSeal takes the one place of an explicit seal. Whoever gives up has sealed nothing.
func (n *Node) beginSeal(ctx context.Context) error {
	select {
	case n.sealing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Unavailable{Reason: Overloaded, Detail: "another seal is still under way"}
	case <-n.failed:
		return &Unavailable{Reason: NotReady, Detail: "this node has failed and seals nothing"}
	case <-n.stop:
		return &Unavailable{Reason: NotReady, Detail: "the node is being stopped"}
	}
}
