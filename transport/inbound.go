package transport

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/raft"
)

// source is who sends on a connection, and what.
type source struct {
	from  uint64
	class Class
}

// inbound is a connection that was accepted. Its goroutine reads it.
type inbound struct {
	t       *Transport
	conn    net.Conn // the raw one; closing it ends all
	number  uint64
	done    chan struct{} // closed when its goroutine delivers nothing more
	greeted bool          // guarded by t.mu

	// The goroutine's own.
	from source // known once the hello was read
	addr string // where the sender says it listens
	peer *peer  // the sender, while it counts us as a member
	told bool   // report has been called

	once sync.Once
	why  error // set once
}

// end closes the connection, for that reason, unless it has ended.
func (in *inbound) end(why error) {
	in.once.Do(func() {
		in.why = why
		_ = in.conn.Close() // its reader sees it
	})
}

// run is the life of the connection.
func (in *inbound) run() {
	t := in.t
	err := in.session()
	close(in.done)
	ended := true
	in.once.Do(func() { in.why, ended = err, false })
	in.report(in.why) // when we had ended it before, err is but the consequence
	if !ended {
		_ = in.conn.Close() // after the report: when the other side sees the end, it is counted
	}
	t.mu.Lock()
	delete(t.conns, in)
	t.mu.Unlock()
}

// session shakes hands and reads frames until the connection ends.
func (in *inbound) session() error {
	t := in.t
	if err := in.conn.SetDeadline(time.Now().Add(t.o.HandshakeTimeout)); err != nil {
		return err
	}
	conn, err := in.secure()
	if err != nil {
		return err
	}
	h, err := in.welcome(conn)
	if err != nil {
		return err
	}
	defer t.broken(in.from.from, in.from.class)
	defer in.leave()
	if err := in.settle(); err != nil {
		return err
	}
	a := t.answer(h, accepted, "")
	if _, err := conn.Write(a.append(nil, h.nonce)); err != nil {
		return fmt.Errorf("answer to hello: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if p := t.table()[h.from]; p != nil {
		p.heard(in.addr)
	}
	return in.read(conn, newSalt(h.nonce, a.nonce), newSalt(a.nonce, h.nonce))
}

// counts notes whether the sender counts us as a member. The error is *refusedError when there are too many that
// nobody named, or ErrClosed.
func (in *inbound) counts(us bool) error {
	if us == (in.peer != nil) {
		return nil
	}
	if !us {
		in.t.leave(in.peer)
		in.peer = nil
		return nil
	}
	var err error
	in.peer, err = in.t.arrive(in.from.from, in.addr)
	return err
}

// leave undoes counts and settle.
func (in *inbound) leave() {
	t := in.t
	t.mu.Lock()
	if t.current[in.from] == in {
		delete(t.current, in.from)
	}
	t.mu.Unlock()
	if in.peer != nil {
		t.leave(in.peer)
	}
}

// settle makes this the connection of its source. An older one is ended first, and its reader gone. The error is
// errReplaced when this is itself the older one, whose hello came to be read late.
func (in *inbound) settle() error {
	t, from := in.t, in.from
	t.mu.Lock()
	old := t.current[from]
	if old != nil && old.number > in.number {
		t.mu.Unlock()
		return errReplaced
	}
	t.current[from] = in
	in.greeted = true
	t.mu.Unlock()
	if old != nil {
		old.end(errReplaced)
		<-old.done
	}
	return nil
}

// read delivers frames until the connection ends.
func (in *inbound) read(conn net.Conn, out, back salt) error {
	t, from := in.t, in.from
	got := t.received(from)
	w := &writer{conn: conn, salt: back, timeout: t.o.WriteTimeout, bytes: new(atomic.Uint64)}
	silent := 0 // bytes since the last pong
	pong := func() error {
		silent = 0
		if err := w.payload(kindPong, nil); err != nil {
			return err
		}
		return w.flush()
	}
	r := &reader{
		r: bufio.NewReaderSize(conn, readBuffer), salt: out, limits: from.class.limits(t.o.MaxFrameBytes),
		arm: func() error { return conn.SetReadDeadline(time.Now().Add(t.o.IdleTimeout)) },
		moved: func(n int) error {
			got.bytes.Add(uint64(n))
			if silent += n; silent >= pongBytes {
				return pong()
			}
			return nil
		},
	}
	for {
		k, payload, err := r.next()
		if err != nil {
			return ending(err, t.o.IdleTimeout)
		}
		if k == kindPing || k == kindAnswers {
			if err := in.counts(k == kindPing); errors.Is(err, ErrClosed) {
				return err // else it is not answered, and tries again
			}
			got = t.received(from)
			if err := pong(); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			continue
		}
		got.frames.Add(1)
		if err := t.deliver(k, payload, from.from); err != nil {
			return err
		}
	}
}

// received is where to count what comes from a source; that of a node which is no peer goes nowhere.
func (t *Transport) received(from source) *counts {
	if p := t.table()[from.from]; p != nil {
		return &p.received[from.class-Messages]
	}
	return new(counts)
}

// deliver gives a frame to the handler.
func (t *Transport) deliver(k kind, payload []byte, from uint64) error {
	switch k {
	case kindRequest:
		t.handler.ReceiveRequest(from, payload)
	case kindBulk:
		t.handler.ReceiveBulk(from, payload)
	default:
		m, err := raft.ParseMessage(payload)
		if err != nil {
			return &frameError{reason: badMessage, text: "not a raft message", cause: err}
		}
		if m.From != from || m.To != t.o.ID || m.ClusterID != t.o.Cluster {
			return badFrame(badSender, "node %d sent a message from node %d for node %d of cluster %s",
				from, m.From, m.To, m.ClusterID)
		}
		t.handler.Receive(m)
	}
	return nil
}
