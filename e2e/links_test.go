package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// links is the wire of a cluster: a proxy stands in front of every node's raft port, and learns from the first bytes of
// a connection who dialled. So every direction between two nodes can fail by itself.
//
// A connection is dialled by the node that sends on it, and carries nothing back but signs of life (docs/format/transport.md).
// So the direction from a to b is the connections that a dialled to b, and a one-way fault is one of those alone.
type links struct {
	t       testing.TB
	mu      sync.Mutex
	state   map[direction]condition
	changed chan struct{} // closed when a state changes
	conns   map[*wire]struct{}
	closed  bool
	running sync.WaitGroup
}

type direction struct{ from, to uint64 }

// condition is how a direction fares. The zero condition is a healthy one.
type condition struct {
	stalled bool // bytes wait, as packets do that are lost and sent again
	cut     bool // connections end, and new ones end at once
	delay   time.Duration
}

// wire is one proxied connection.
type wire struct {
	direction
	near, far net.Conn
	ended     chan struct{} // closed when either side has ended
	once      sync.Once
}

func (w *wire) end() {
	w.once.Do(func() { close(w.ended) })
	w.near.Close()
	w.far.Close()
}

func newLinks(t testing.TB) *links {
	l := &links{t: t, state: make(map[direction]condition), changed: make(chan struct{}), conns: make(map[*wire]struct{})}
	t.Cleanup(func() {
		l.mu.Lock()
		l.closed = true
		for w := range l.conns {
			w.end()
		}
		l.mu.Unlock()
		l.running.Wait()
	})
	return l
}

// front puts a proxy in front of a raft port, and returns the address of the proxy.
func (l *links) front(id uint64, target string) string {
	l.t.Helper()
	listener, err := net.Listen("tcp", freePorts(l.t, 1)[0])
	if err != nil {
		l.t.Fatal(err)
	}
	l.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.running.Go(func() { l.carry(id, target, conn) })
		}
	})
	l.t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// carry is the life of one connection.
func (l *links) carry(id uint64, target string, near net.Conn) {
	defer near.Close()
	_ = near.SetReadDeadline(time.Now().Add(patience))
	dialler, first, err := readDialler(near)
	if err != nil {
		return
	}
	_ = near.SetReadDeadline(time.Time{})
	// The dial goes to a process of this machine: it is answered or refused at once.
	far, err := net.DialTimeout("tcp", target, time.Second)
	if err != nil {
		return
	}
	w := &wire{direction: direction{dialler, id}, near: near, far: far, ended: make(chan struct{})}
	if !l.admit(w) {
		w.end()
		return
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { l.pump(w, far, near, first) })
	pumps.Go(func() {
		defer w.end()
		_, _ = io.Copy(near, far) // the signs of life; their delay would change nothing
	})
	pumps.Wait()
	l.mu.Lock()
	delete(l.conns, w)
	l.mu.Unlock()
}

// admit takes a connection into the books, unless its link is cut.
func (l *links) admit(w *wire) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.state[w.direction].cut {
		return false
	}
	l.conns[w] = struct{}{}
	return true
}

type parcel struct {
	data []byte
	due  time.Time
}

// pump carries what the dialler sends, first the bytes that were read already.
func (l *links) pump(w *wire, to, from net.Conn, first []byte) {
	defer w.end()
	parcels := make(chan parcel, 256) // what is on the wire; the sender has to wait when it is full
	l.running.Go(func() {
		defer close(parcels) // what was sent before the end still arrives
		buf := first
		for {
			if len(buf) > 0 {
				select {
				case parcels <- parcel{buf, time.Now().Add(l.of(w.direction).delay)}:
				case <-w.ended:
					return
				}
			}
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			buf = b[:n]
		}
	})
	for p := range parcels {
		if wait := time.Until(p.due); wait > 0 {
			select {
			case <-time.After(wait): // the length of the wire
			case <-w.ended:
				return
			}
		}
		if !l.awaitOpen(w) {
			return
		}
		if _, err := to.Write(p.data); err != nil {
			return
		}
	}
}

func (l *links) of(d direction) condition {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state[d]
}

// awaitOpen waits until the direction is not stalled; false when the connection has ended.
func (l *links) awaitOpen(w *wire) bool {
	for {
		l.mu.Lock()
		stalled, changed := l.state[w.direction].stalled, l.changed
		l.mu.Unlock()
		if !stalled {
			return true
		}
		select {
		case <-changed:
		case <-w.ended:
			return false
		}
	}
}

// set changes the condition of one direction, from now on.
func (l *links) set(from, to *peer, now condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state[direction{from.id, to.id}] = now
	l.apply()
}

// between sets both directions between two groups.
func (l *links) between(a, b []*peer, now condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range a {
		for _, y := range b {
			l.state[direction{x.id, y.id}] = now
			l.state[direction{y.id, x.id}] = now
		}
	}
	l.apply()
}

// heal makes all links healthy.
func (l *links) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.state)
	l.apply()
}

// apply ends what is cut and wakes what is stalled. The lock is held.
func (l *links) apply() {
	for w := range l.conns {
		if l.state[w.direction].cut {
			w.end()
		}
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

const helloHeader = 64 // of a hello; its address and its checksum follow

// readDialler reads the hello that opens a connection between nodes, and returns who dialled, with the bytes read.
func readDialler(conn net.Conn) (from uint64, read []byte, err error) {
	read = make([]byte, helloHeader)
	if _, err := io.ReadFull(conn, read); err != nil {
		return 0, nil, err
	}
	if string(read[:8]) != "SCRIBETP" {
		return 0, nil, fmt.Errorf("no hello: %q", read)
	}
	return binary.BigEndian.Uint64(read[32:]), read, nil
}
