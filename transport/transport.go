package transport

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/scribe-ledger/scribe/raft"
)

// Transport is one node's connections to its peers. Its methods may be called from any goroutine.
type Transport struct {
	o       Options
	quiet   quiet // of lines about peers and this node
	metrics metrics
	// strangers keeps lines apart that anybody can cause, so that they cannot keep out the others.
	strangers quiet
	peers     atomic.Pointer[map[uint64]*peer] // changed by setTable only
	wg        sync.WaitGroup                   // all goroutines
	ctx       context.Context                  // ends with Close
	stop      context.CancelFunc

	mu       sync.Mutex
	handler  Handler // nil until something may be accepted
	closed   bool
	conns    map[*inbound]struct{} // all that were accepted and are not gone
	accepted uint64                // counts them
	current  map[source]*inbound   // those whose hello was accepted
}

// New makes a transport. With Options.Handler it accepts connections from now on. Until SetPeers it dials nobody.
func New(o Options) (*Transport, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Transport{
		o:       o,
		conns:   make(map[*inbound]struct{}),
		current: make(map[source]*inbound),
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	if err := t.metrics.register(t); err != nil {
		t.stop()
		return nil, err
	}
	if o.Handler != nil {
		if err := t.Start(o.Handler); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Start begins to accept connections, for a transport that was made without a Handler. It is called once.
func (t *Transport) Start(h Handler) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return ErrClosed
	case h == nil || t.handler != nil:
		return errors.New("transport: Start needs one Handler, once")
	}
	t.handler = h
	t.wg.Go(t.accept)
	return nil
}

// Addr is the address of the listener.
func (t *Transport) Addr() net.Addr { return t.o.Listener.Addr() }

// SetPeers says who the members are. This node is left out, others than those named are dropped, with what waits for
// them; but a node that counts this one as a member, and is connected, can be answered for as long as it is.
func (t *Transport) SetPeers(members []raft.Member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	named := make(map[uint64]bool, len(members))
	for _, m := range members {
		if m.ID == t.o.ID || m.ID == 0 {
			continue
		}
		named[m.ID] = true
		if p := t.table()[m.ID]; p != nil {
			p.list(m.RaftAddr)
		} else {
			t.addPeer(m.ID, true, m.RaftAddr, "")
		}
	}
	for id, p := range t.table() {
		switch {
		case named[id]:
		case p.inbound == 0:
			t.dropPeer(p)
		default:
			p.unlist()
		}
	}
}

// Send queues a message for the node that it is for. What cannot be queued is dropped and counted.
func (t *Transport) Send(m raft.Message) {
	t.send(m.To, Messages, item{kind: kindMessage, size: messageBytes(m), message: m})
}

// SendRequest queues a request, in order with the messages. False means that it was not and will not be sent. It
// belongs to the transport from now on.
func (t *Transport) SendRequest(to uint64, payload []byte) bool {
	return t.send(to, Messages, item{kind: kindRequest, size: len(payload) + frameHeader, payload: payload})
}

// SendBulk queues a bulk payload of at most MaxBulkBytes. False means that it was not and will not be sent: the queue is
// full, or the peer unknown or out of reach. It belongs to the transport from now on.
func (t *Transport) SendBulk(to uint64, payload []byte) bool {
	return t.send(to, Bulk, item{kind: kindBulk, size: len(payload) + frameHeader, payload: payload})
}

func (t *Transport) send(to uint64, c Class, it item) bool {
	p := t.table()[to]
	if p == nil {
		t.metrics.noPeer[c-Messages].Add(1)
		return false
	}
	return p.stream(c).send(it)
}

// Close ends all connections and returns when all goroutines are gone. What is queued is dropped.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		t.wg.Wait()
		return nil
	}
	t.closed = true
	t.stop()
	err := t.o.Listener.Close()
	for in := range t.conns {
		in.end(ErrClosed)
	}
	for _, p := range t.table() {
		t.dropPeer(p)
	}
	t.mu.Unlock()
	t.wg.Wait()
	t.metrics.unregister()
	return err
}

// ids are those of a table, ascending.
func ids(table map[uint64]*peer) []uint64 {
	return slices.Sorted(maps.Keys(table))
}

// broken passes on that frames of a class, to or from a peer, may be lost.
func (t *Transport) broken(peer uint64, c Class) {
	if c == Messages && t.o.Broken != nil {
		t.o.Broken(peer)
	}
}
