package node

import (
	"slices"
	"sync"

	"github.com/scribe-ledger/scribe/raft"
)

// frameOverhead is what a waiting frame takes in memory beside its payload.
const frameOverhead = 256

// frame is a message or a request of a peer.
type frame struct {
	message raft.Message // of kind 0: there is a request instead
	from    uint64
	request []byte
	bytes   int64 // what it counts for in the inbox
}

// inbox is what waits for the raft loop, which takes all of it at once. Whoever puts something in wakes the loop.
type inbox struct {
	mu         sync.Mutex
	mail       mail
	frameBytes int64
}

// mail is what an inbox holds, each kind in the order in which it came.
type mail struct {
	proposals []*proposal
	reads     []*barrier
	changes   []*change
	frames    []frame
	connected bool     // the network is a new one
	broken    []uint64 // peers to whom a connection broke
}

func (m *mail) empty() bool {
	return len(m.proposals)+len(m.reads)+len(m.changes)+len(m.frames)+len(m.broken) == 0 && !m.connected
}

// clear empties m and keeps its memory.
func (m *mail) clear() {
	clear(m.proposals)
	clear(m.reads)
	clear(m.changes)
	clear(m.frames)
	*m = mail{proposals: m.proposals[:0], reads: m.reads[:0], changes: m.changes[:0], frames: m.frames[:0],
		broken: m.broken[:0]}
}

// swap takes everything out and leaves m, which is empty, in its place.
func (b *inbox) swap(m *mail) {
	b.mu.Lock()
	b.mail, *m = *m, b.mail
	b.frameBytes = 0
	b.mu.Unlock()
}

func (b *inbox) addProposal(p *proposal) {
	b.mu.Lock()
	b.mail.proposals = append(b.mail.proposals, p)
	b.mu.Unlock()
}

func (b *inbox) addRead(r *barrier) {
	b.mu.Lock()
	b.mail.reads = append(b.mail.reads, r)
	b.mu.Unlock()
}

// addChange says whether there was room.
func (b *inbox) addChange(c *change) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mail.changes) >= maxChanges {
		return false
	}
	b.mail.changes = append(b.mail.changes, c)
	return true
}

// addFrame says whether there was room. A frame of any size is taken while the inbox is empty.
func (b *inbox) addFrame(f frame, maxFrames int, maxBytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.mail.frames); n > 0 && (n >= maxFrames || b.frameBytes+f.bytes > maxBytes) {
		return false
	}
	b.mail.frames = append(b.mail.frames, f)
	b.frameBytes += f.bytes
	return true
}

func (b *inbox) reconnect() {
	b.mu.Lock()
	b.mail.connected = true
	b.mu.Unlock()
}

func (b *inbox) breakOff(peer uint64) {
	b.mu.Lock()
	if !slices.Contains(b.mail.broken, peer) { // so there are no more than peers
		b.mail.broken = append(b.mail.broken, peer)
	}
	b.mu.Unlock()
}
