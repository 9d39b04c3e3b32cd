package node

import (
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
)

// While a member copies segments its leader plans no merges. A merge takes the segments that are being copied out of the
// newest manifest, so that a member which begins anew, because it was killed, would have to fetch once more what it has
// already; and it takes disk and processor of those who serve it. What was decided before goes on, and so does what is
// asked for by hand.
const (
	// holdMergesFor bounds it: a member that does not get on must not leave the others with ever more segments.
	holdMergesFor = 10 * time.Minute
	// holdMergesAfter is how long after it was last seen copying a member is waited for: it may have been killed.
	holdMergesAfter = 15 * time.Second
)

// mergeHold is state of the raft loop, by ticks.
type mergeHold struct {
	on          bool
	since, seen uint64 // when it began; when a member last copied
}

// tick looks whether a member copies; tick counts heartbeats, so many of which make up a duration.
func (h *mergeHold) tick(now uint64, copying bool, ticks func(time.Duration) uint64) {
	switch {
	case copying && !h.on:
		*h = mergeHold{on: true, since: now, seen: now}
	case copying:
		h.seen = now
	case h.on && now-h.seen > ticks(holdMergesAfter):
		*h = mergeHold{}
	}
}

// holds says whether merges wait.
func (h *mergeHold) holds(now uint64, ticks func(time.Duration) uint64) bool {
	return h.on && now-h.since <= ticks(holdMergesFor)
}

func (n *Node) ticksIn(d time.Duration) uint64 { return uint64(d / n.opts.Heartbeat) }

// tickHold looks whether a member copies segments, as far as this leader can tell.
func (n *Node) tickHold() {
	st := n.status.Load()
	if st.Role != raft.Leader {
		n.hold = mergeHold{}
		return
	}
	was := n.hold.on
	n.hold.tick(n.ticks, slices.ContainsFunc(st.Peers, func(p raft.PeerStatus) bool {
		return p.Active && p.State == raft.PeerSnapshot
	}), n.ticksIn)
	if n.hold.on && !was {
		n.opts.Logger.Info("a member copies segments: no merges are planned meanwhile", "at_most", holdMergesFor)
	}
}

// withoutHeld leaves out the merges that wait.
func (n *Node) withoutHeld(wants []ledger.Want) []ledger.Want {
	if !n.hold.holds(n.ticks, n.ticksIn) {
		return wants
	}
	return slices.DeleteFunc(wants, func(w ledger.Want) bool { return w.Key.IsMerge() })
}
