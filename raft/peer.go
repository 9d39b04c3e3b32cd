package raft

import (
	"cmp"
	"slices"
)

// peer is what a leader knows of another member (Raft figure 2, volatile state on leaders). Invariant: match < next,
// and every entry in between is under way to it in the state PeerReplicate.
type peer struct {
	id    uint64
	state PeerState
	match uint64 // last entry known to be durable there and equal to ours
	next  uint64 // first entry to send
	told  uint64 // highest commit index sent

	paused  bool     // PeerProbe: an append is under way, the next one leaves with its answer
	flights []flight // PeerReplicate: the appends with entries under way, oldest first
	bytes   uint64   // Data in them
	waited  int      // ticks that something has been under way without an answer

	silent   int    // ticks since it was last heard
	round    uint64 // the latest round of heartbeats it answered
	offerIn  int    // PeerSnapshot: ticks until the offer is repeated
	offerDue bool   // PeerSnapshot: the offer leaves with the next Ready

	leaving   uint64 // index of the configuration that removed it; 0 for a member
	gone      int    // ticks since that was appended
	lastRound uint64 // a round that tells it of that configuration's commit; 0 before
}

// flight is one append under way.
type flight struct {
	last  uint64
	bytes uint64
}

// peer returns what is known of a peer, nil if this node does not lead or does not send to it.
func (c *Core) peer(id uint64) *peer {
	i, ok := slices.BinarySearchFunc(c.peers, id, func(p *peer, id uint64) int { return cmp.Compare(p.id, id) })
	if !ok {
		return nil
	}
	return c.peers[i]
}

// probe goes back to finding out where the logs agree, from entry next on.
func (p *peer) probe(next uint64) {
	p.state, p.next, p.paused = PeerProbe, next, false
	p.land()
}

// replicate goes on behind what is known to match.
func (p *peer) replicate() {
	p.state, p.next, p.paused = PeerReplicate, p.match+1, false
	p.land()
}

// land forgets what is under way.
func (p *peer) land() { p.flights, p.bytes, p.waited = p.flights[:0], 0, 0 }

// landTo forgets the appends that are answered by one which brings the peer to index.
func (p *peer) landTo(index uint64) {
	n := 0
	for n < len(p.flights) && p.flights[n].last <= index {
		p.bytes -= p.flights[n].bytes
		n++
	}
	p.flights = slices.Delete(p.flights, 0, n)
}

// underWay says whether an answer to an append is due.
func (p *peer) underWay() bool { return len(p.flights) > 0 || p.paused }

// status is the peer as Status shows it.
func (p *peer) status(electionTicks int) PeerStatus {
	n := len(p.flights)
	if p.paused {
		n = 1
	}
	return PeerStatus{
		ID: p.id, Match: p.match, Next: p.next, Inflight: n, State: p.state,
		Active: p.silent < electionTicks, NeedsSnapshot: p.state == PeerSnapshot,
	}
}
