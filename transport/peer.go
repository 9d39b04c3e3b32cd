package transport

import (
	"context"
	"maps"
	"sync/atomic"

	"github.com/scribe-ledger/scribe/raft"
)

// peer is a node to which frames go: one that SetPeers named, or one that counts us as a member and wants answers.
type peer struct {
	id      uint64
	streams [len(classes)]*stream
	stop    context.CancelFunc // ends the streams

	received [len(classes)]counts

	// Guarded by Transport.mu.
	listed  bool // SetPeers named it
	inbound int  // connections on which it counts us as a member
}

// counts are frames and bytes of one class.
type counts struct {
	frames, bytes atomic.Uint64
}

func (p *peer) stream(c Class) *stream { return p.streams[c-Messages] }

// list notes that SetPeers named the peer, and where it listens.
func (p *peer) list(addr string) {
	p.listed = true
	for _, s := range p.streams {
		s.setAddr(addr)
		s.setAnswers(false)
	}
}

// unlist notes that SetPeers did not name the peer.
func (p *peer) unlist() {
	p.listed = false
	for _, s := range p.streams {
		s.setAnswers(true)
	}
}

// heard tells the streams that the peer is there, and at which address it says it listens.
func (p *peer) heard(addr string) {
	for _, s := range p.streams {
		s.heardFrom(addr)
	}
}

// addPeer starts the streams of a peer that is to be dialled at one of two addresses: where SetPeers says it listens, or
// where it says so itself. The caller holds t.mu, and t is not closed.
func (t *Transport) addPeer(id uint64, listed bool, addr, said string) *peer {
	ctx, stop := context.WithCancel(context.Background())
	p := &peer{id: id, stop: stop, listed: listed}
	for i, c := range classes {
		s := newStream(t, id, c)
		s.addr, s.said = addr, said
		s.answers.Store(!listed)
		p.streams[i] = s
		t.wg.Go(func() { s.run(ctx) })
	}
	t.setTable(func(m map[uint64]*peer) { m[id] = p })
	return p
}

// dropPeer ends the streams of a peer; what they hold is dropped. The caller holds t.mu.
func (t *Transport) dropPeer(p *peer) {
	t.setTable(func(m map[uint64]*peer) { delete(m, p.id) })
	p.stop()
	for _, s := range p.streams {
		s.drop(dropClosed, s.queue.shut(dropClosed))
	}
}

// setTable publishes a changed copy of the peers. The caller holds t.mu.
func (t *Transport) setTable(change func(map[uint64]*peer)) {
	m := maps.Clone(t.table())
	if m == nil {
		m = make(map[uint64]*peer)
	}
	change(m)
	t.peers.Store(&m)
}

// table is the peers as they are; nobody changes the map.
func (t *Transport) table() map[uint64]*peer {
	if m := t.peers.Load(); m != nil {
		return *m
	}
	return nil
}

// arrive counts a connection on which a node counts us as a member. One that nobody named becomes a peer for as long as
// it has such a connection, so that it can be answered: it may have members that we have not heard of yet, or we may.
// If connections that only answer counted too, two nodes could keep each other for ever.
func (t *Transport) arrive(id uint64, addr string) (*peer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	p := t.table()[id]
	if p == nil {
		if n := t.unlisted(); n >= maxUnlisted {
			return nil, refuse(refusedFull, "%d nodes that are not members are connected to node %d", n, t.o.ID)
		}
		p = t.addPeer(id, false, "", addr)
	}
	p.inbound++
	return p, nil
}

// maxUnlisted bounds the peers that nobody named.
const maxUnlisted = raft.MaxMembers

// unlisted counts them. The caller holds t.mu.
func (t *Transport) unlisted() int {
	n := 0
	for _, p := range t.table() {
		if !p.listed {
			n++
		}
	}
	return n
}

// leave takes back an arrive.
func (t *Transport) leave(p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.inbound--; p.inbound == 0 && !p.listed && t.table()[p.id] == p {
		t.dropPeer(p)
	}
}
