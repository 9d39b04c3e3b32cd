package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/vfs"
)

// enter takes the one place of those who do a thing that goes on once at a time, a seal or a compaction; whoever has it
// receives from place to leave. Whoever gives up waiting has done nothing.
func (n *Node) enter(ctx context.Context, place chan struct{}, thing string) error {
	select {
	case place <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Unavailable{Reason: Overloaded, Detail: "another " + thing + " is still under way"}
	case <-n.ended:
		if n.Err() != nil {
			return &Unavailable{Reason: NotReady, Detail: "this node has failed and begins no " + thing}
		}
		return &Unavailable{Reason: NotReady, Detail: "the node is being stopped"}
	}
}

// unfinished is the error of a wait for the ledger that ended before what was waited for. What was begun goes on.
func unfinished(so string, err error) error {
	reason := NotReady
	switch {
	case vfs.IsNoSpace(err):
		reason = DiskFull
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		reason = OutcomeUnknown
	}
	return &Unavailable{Reason: reason, Detail: fmt.Sprintf("%s: %v", so, err)}
}
