package node

import (
	"github.com/scribe-ledger/scribe/raft"
)

// Network carries messages and requests to the other members. Its methods are safe for concurrent use and never block.
// What it delivers comes in order and at most once, or not at all; nothing here rests on more than that, and of the order
// only speed depends.
type Network interface {
	// SetPeers says who may be sent to: everybody that this node knows but itself. Addresses may change; connections to
	// others are dropped.
	SetPeers(peers []raft.Member)
	// Send may drop a message, which it counts.
	Send(m raft.Message)
	// SendRequest sends a payload, which belongs to the network from then on, in order with Send. False says that it was
	// certainly not sent.
	SendRequest(to uint64, payload []byte) bool
	// SendBulk sends a payload beside the messages, so that it delays none. False: the queue is full, or no such peer.
	SendBulk(to uint64, payload []byte) bool
}

// noNetwork is that of a node which has none, or none yet.
type noNetwork struct{}

func (noNetwork) SetPeers([]raft.Member)          {}
func (noNetwork) Send(raft.Message)               {}
func (noNetwork) SendRequest(uint64, []byte) bool { return false }
func (noNetwork) SendBulk(uint64, []byte) bool    { return false }

// Connect gives the node its network, in place of Options.Network: for a transport that must know the node's cluster id
// and instance first.
func (n *Node) Connect(to Network) {
	n.network.Store(&to)
	if n.restoring.Load() { // there is no raft loop yet that would tell it
		to.SetPeers(n.knownPeers())
	}
	n.inbox.reconnect()
	n.poke(n.wake)
}

// Broken tells the node that a connection on which requests went from or to a peer has ended: what was on it may be
// lost, either way. A network that cannot tell need not.
func (n *Node) Broken(peer uint64) {
	if n.restoring.Load() {
		return
	}
	n.inbox.breakOff(peer)
	n.poke(n.wake)
}

func (n *Node) net() Network { return *n.network.Load() }

// Receive takes a raft message that a peer sent to this node. It does not block; what there is no room for is dropped,
// which raft makes good.
func (n *Node) Receive(m raft.Message) {
	size := int64(frameOverhead)
	for i := range m.Entries {
		size += int64(len(m.Entries[i].Data))
	}
	n.deliver(frame{message: m, from: m.From, bytes: size})
}

// ReceiveRequest takes a request that a peer sent with SendRequest. The payload belongs to the node.
func (n *Node) ReceiveRequest(from uint64, payload []byte) {
	n.deliver(frame{from: from, request: payload, bytes: frameOverhead + int64(len(payload))})
}

// ReceiveBulk takes what a peer sent with SendBulk. The payload belongs to the node.
func (n *Node) ReceiveBulk(from uint64, payload []byte) {
	n.snapshots.receive(from, payload)
}

func (n *Node) deliver(f frame) {
	if n.restoring.Load() {
		return // there is no core yet; raft makes it good
	}
	if !n.inbox.addFrame(f, n.opts.MaxInbox, n.opts.MaxInboxBytes) {
		n.metrics.droppedFrames.Inc()
		return
	}
	n.poke(n.wake)
}
