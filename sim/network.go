package sim

import (
	"bytes"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/raft"
)

// frameClass is how a frame travels: messages and requests share a connection, bulk has one of its own.
type frameClass uint8

const (
	messageFrame frameClass = iota + 1
	requestFrame
	bulkFrame
)

func (c frameClass) String() string {
	return [...]string{"", "message", "request", "bulk"}[min(c, bulkFrame)]
}

// frame is something on its way. Raft messages are encoded when they are sent and decoded when they arrive.
type frame struct {
	class    frameClass
	from, to uint64
	payload  []byte
}

// frames are those under way, by the number that their event carries.
type frames struct {
	slots []frame
	free  []int32
}

func (f *frames) add(x frame) int32 {
	if n := len(f.free); n > 0 {
		i := f.free[n-1]
		f.free = f.free[:n-1]
		f.slots[i] = x
		return i
	}
	f.slots = append(f.slots, x)
	return int32(len(f.slots) - 1)
}

func (f *frames) take(i int32) frame {
	x := f.slots[i]
	f.slots[i] = frame{}
	f.free = append(f.free, i)
	return x
}

// link is one direction between two nodes.
type link struct {
	cut   bool             // a partition: nothing passes
	slow  time.Duration    // added to everything
	until [2]time.Duration // when the last frame that was not disturbed arrives, of messages and of bulk
}

// port is the network as one node sees it (node.Network). As a transport does, it knows its peers by what the node told
// it, and can answer those that run and count this node among theirs; to others nothing can be sent.
type port struct {
	r     *replica
	peers []uint64
}

// SetPeers implements node.Network.
func (p *port) SetPeers(peers []raft.Member) {
	p.peers = p.peers[:0]
	for _, m := range peers {
		p.peers = append(p.peers, m.ID)
	}
}

func (p *port) target(id uint64) *replica {
	to := p.r.w.replica(id)
	if to == nil || !slices.Contains(p.peers, id) && (to.node == nil || !slices.Contains(to.port.peers, p.r.id)) {
		return nil
	}
	return to
}

// Send implements node.Network.
func (p *port) Send(m raft.Message) {
	w := p.r.w
	if p.r.disk.left == nil {
		w.raft.sent(w, p.r, &m)
	}
	if to := p.target(m.To); to != nil {
		size := 128
		for i := range m.Entries {
			size += 16 + len(m.Entries[i].Data)
		}
		w.send(p.r, to, frame{class: messageFrame, payload: raft.AppendMessage(make([]byte, 0, size), m)})
	}
}

// SendRequest implements node.Network.
func (p *port) SendRequest(to uint64, payload []byte) bool {
	target := p.target(to)
	if target == nil {
		return false
	}
	p.r.w.send(p.r, target, frame{class: requestFrame, payload: payload})
	return true
}

// maxBulk bounds the bulk frames that are under way from a node: beyond it the queue is full.
const maxBulk = 64

// SendBulk implements node.Network.
func (p *port) SendBulk(to uint64, payload []byte) bool {
	target := p.target(to)
	if target == nil || p.r.bulk >= maxBulk {
		return false
	}
	p.r.w.send(p.r, target, frame{class: bulkFrame, payload: payload})
	return true
}

// send puts a frame on its way, and decides what is to become of it there.
func (w *World) send(from, to *replica, f frame) {
	if from.disk.left != nil {
		return // the power is off, the step only does not know it yet
	}
	f.from, f.to = from.id, to.id
	w.stats.Frames++
	if w.links[from.index][to.index].cut {
		w.fault(Cut)
		return
	}
	if w.faults {
		if w.chance(w.plan.Rate[Loss]) {
			w.fault(Loss)
			return
		}
		if w.chance(w.plan.Rate[Duplicate]) {
			w.fault(Duplicate)
			twin := f
			twin.payload = bytes.Clone(f.payload) // who gets it may write into it
			w.dispatch(from, to, twin)
		}
	}
	w.dispatch(from, to, f)
}

func (w *World) dispatch(from, to *replica, f frame) {
	l := &w.links[from.index][to.index]
	arrives := w.now + w.plan.Latency/2 + w.upTo(w.plan.Latency) + l.slow
	lane := 0
	if f.class == bulkFrame {
		lane = 1
		from.bulk++
		arrives += time.Duration(len(f.payload)) * 20 // 50 MB/s
	}
	switch {
	case w.faults && w.chance(w.plan.Rate[Reorder]):
		w.fault(Reorder)
		arrives += w.upTo(20 * w.plan.Latency)
	case w.faults && w.chance(w.plan.Rate[Delay]):
		w.fault(Delay)
		arrives += w.about(pickMillis(w.rand, 10, 10, 50, 200))
	default: // frames that nothing disturbs keep their order, as on a connection
		arrives = max(arrives, l.until[lane])
		l.until[lane] = arrives
	}
	w.add(event{at: arrives, kind: evDeliver, node: int8(to.index), arg: w.frames.add(f)})
}

// deliver hands a frame to the node it is for.
func (w *World) deliver(i int32, r *replica) {
	f := w.frames.take(i)
	from := w.replica(f.from)
	if f.class == bulkFrame && from != nil {
		from.bulk--
	}
	if r.node == nil || r.id != f.to || from == nil {
		return // nobody listens
	}
	if w.links[from.index][r.index].cut {
		w.fault(Cut)
		return
	}
	w.note(xxhash.Sum64(f.payload), f.from)
	if w.tracing() {
		w.traceFrame(&f)
	}
	switch f.class {
	case messageFrame:
		m, err := raft.ParseMessage(f.payload)
		if err != nil {
			w.violated("node %d sent node %d a message that cannot be read: %w", f.from, f.to, err)
			return
		}
		r.node.Receive(m)
	case requestFrame:
		r.node.ReceiveRequest(f.from, f.payload)
	case bulkFrame:
		r.node.ReceiveBulk(f.from, f.payload)
		r.soon(evServe)
		r.soon(evFetch)
	}
	r.soon(evTurn)
}

func (w *World) traceFrame(f *frame) {
	if f.class != messageFrame {
		w.trace("%d→%d %s of %d bytes, kind %d", f.from, f.to, f.class, len(f.payload), f.payload[0])
		return
	}
	m, err := raft.ParseMessage(f.payload)
	if err != nil {
		return
	}
	w.trace("%d→%d %s term %d index %d/%d commit %d entries %d reject %t hint %d/%d context %d", f.from, f.to, m.Kind,
		m.Term, m.Index, m.LogTerm, m.Commit, len(m.Entries), m.Reject, m.Hint, m.HintTerm, m.Context)
}
