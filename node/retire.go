package node

import (
	"context"
	"time"

	"github.com/scribe-ledger/scribe/raft"
)

// retirePoll is how often Retire looks whether all is answered.
const retirePoll = 2 * time.Millisecond

// Retire prepares a clean end: it hands leadership to another voter, if there is one, and waits until what is in flight
// here is answered, as long as the context lasts and no longer than two election timeouts each. The node goes on serving
// meanwhile; Close comes after it. Not in manual mode.
func (n *Node) Retire(ctx context.Context) {
	patience := time.Duration(noLeaderTimeouts*2*n.opts.ElectionTicks) * n.opts.Heartbeat
	if st := n.status.Load(); st.Role == raft.Leader && !st.Members.SoleVoter(st.ID) && n.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := n.Transfer(limited, 0); err != nil {
			n.opts.Logger.Warn("leadership could not be handed over", "error", err)
		}
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	poll := time.NewTicker(retirePoll)
	defer poll.Stop()
	for n.inFlight() {
		select {
		case <-poll.C:
		case <-limited.Done():
			return
		case <-n.ended:
			return
		}
	}
}

// inFlight says whether somebody waits for an answer.
func (n *Node) inFlight() bool {
	return n.queued.Load() > 0 || n.waitingReads.Load() > 0 || !n.waiters.empty()
}
