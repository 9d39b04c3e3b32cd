package node

import (
	"fmt"

	"github.com/scribe-ledger/scribe/ledger"
)

// Parked proposals are those that the raft loop has taken from the inbox and that wait there: for room in the core, for
// the leader to be known, for the way to it. They keep their order. MaxQueue and MaxQueueBytes bound them, together with
// those in the inbox and those that were forwarded and are not answered.

// noLeaderTimeouts is how many election timeouts, the longest there are, a write or read waits for a leader.
const noLeaderTimeouts = 2

// noLeaderTicks is the same in ticks.
func (n *Node) noLeaderTicks() uint64 { return uint64(noLeaderTimeouts * n.opts.ElectionMaxTicks) }

// count counts a proposal as waiting, unless as much waits already as may.
func (n *Node) count(p *proposal) *Unavailable {
	size := int64(len(p.data))
	count, bytes := n.queued.Add(1), n.queuedBytes.Add(size)
	if count <= int64(n.opts.MaxQueue) && (bytes <= n.opts.MaxQueueBytes || bytes == size) {
		return nil
	}
	n.dequeue(p)
	return &Unavailable{Reason: Overloaded, Detail: fmt.Sprintf("%d writes of %d bytes wait already", count-1, bytes-size)}
}

// dequeue notes that a proposal waits no more.
func (n *Node) dequeue(p *proposal) {
	n.queued.Add(-1)
	n.queuedBytes.Add(-int64(len(p.data)))
}

// park takes in what has come from the inbox.
func (n *Node) park(proposals []*proposal) {
	for _, p := range proposals {
		p.since = n.ticks
	}
	n.parked = append(n.parked, proposals...)
}

// unpark drops the first count of the parked proposals, which were proposed.
func (n *Node) unpark(count int) {
	for _, p := range n.parked[:count] {
		n.dequeue(p)
	}
	n.shiftParked(count)
}

func (n *Node) shiftParked(count int) {
	left := copy(n.parked, n.parked[count:])
	clear(n.parked[left:])
	n.parked = n.parked[:left]
}

// filterParked drops those that keep says no of, which it has answered.
func (n *Node) filterParked(keep func(*proposal) bool) {
	kept := n.parked[:0]
	for _, p := range n.parked {
		if keep(p) {
			kept = append(kept, p)
		} else {
			n.dequeue(p)
		}
	}
	clear(n.parked[len(kept):])
	n.parked = kept
}

func (n *Node) refuseParked(refusal *Unavailable) {
	n.filterParked(func(p *proposal) bool {
		p.resolve(outcome{err: refusal})
		return false
	})
}

// refuseWrites refuses the parked writes for want of space and says whether there were any. Seals stay.
func (n *Node) refuseWrites(refusal *Unavailable) (some bool) {
	n.filterParked(func(p *proposal) bool {
		if !ledger.IsWrite(p.data) {
			return true
		}
		some = true
		n.metrics.spaceRefusals.Inc()
		p.resolve(outcome{err: refusal})
		return false
	})
	return some
}

// expireParked answers the parked writes whose deadline has passed, and those that have waited for a leader long enough.
func (n *Node) expireParked(now int64) {
	n.filterParked(func(p *proposal) bool {
		var refusal *Unavailable
		switch {
		case p.state.Load() == withdrawn:
			return false
		case p.expired(now) && n.soft.Leader == 0:
			refusal = &Unavailable{Reason: NoLeader, Detail: "no leader is known; the write was not proposed"}
		case p.expired(now):
			refusal = &Unavailable{Reason: Overloaded, Detail: "the write was not taken in in time; it had not been proposed"}
		case n.leaderless(p.since):
			refusal = &Unavailable{Reason: NoLeader, Detail: "no leader was found in time; the write was not proposed"}
		default:
			return true
		}
		if p.state.CompareAndSwap(queued, withdrawn) {
			p.resolve(outcome{err: refusal})
		}
		return false
	})
}

// leaderless says whether no leader is known for so long that what has waited since a tick should not wait on.
func (n *Node) leaderless(since uint64) bool {
	return n.soft.Leader == 0 && n.ticks >= max(since, n.leaderAt)+n.noLeaderTicks()
}
