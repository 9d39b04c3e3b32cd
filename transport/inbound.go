package transport

import (
	"bufio"
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

	once sync.Once
	why  error // set once
}

// end closes the connection, for that reason, and returns the first reason that was given for it.
func (in *inbound) end(why error) error {
	in.once.Do(func() {
		in.why = why
		_ = in.conn.Close() // its reader sees it
	})
	return in.why
}

// run is the life of the connection.
func (in *inbound) run() {
	t := in.t
	from, err := in.session()
	close(in.done)
	why := in.end(err) // when it was ended before, err is but the consequence
	t.mu.Lock()
	delete(t.conns, in)
	t.mu.Unlock()
	in.report(from, why)
}

// session shakes hands and reads frames until the connection ends. It returns who sent, when that is known.
func (in *inbound) session() (source, error) {
	t := in.t
	if err := in.conn.SetDeadline(time.Now().Add(t.o.HandshakeTimeout)); err != nil {
		return source{}, err
	}
	conn, err := in.secure()
	if err != nil {
		return source{}, err
	}
	h, p, err := in.welcome(conn)
	from := source{h.from, h.class}
	if err != nil {
		return from, err
	}
	defer t.leave(p)
	defer in.unsettle(from)
	if err := in.settle(from); err != nil {
		return from, err
	}
	a := t.answer(h, accepted, "")
	if _, err := conn.Write(a.append(nil, h.nonce)); err != nil {
		return from, fmt.Errorf("answer to hello: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return from, err
	}
	return from, in.read(conn, p, from, newSalt(h.nonce, a.nonce), newSalt(a.nonce, h.nonce))
}

// settle makes this the connection of its source. An older one is ended first, and its reader gone. The error is
// errReplaced when this is itself the older one, whose hello came to be read late.
func (in *inbound) settle(from source) error {
	t := in.t
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

func (in *inbound) unsettle(from source) {
	in.t.mu.Lock()
	defer in.t.mu.Unlock()
	if in.t.current[from] == in {
		delete(in.t.current, from)
	}
}

// read delivers frames until the connection ends.
func (in *inbound) read(conn net.Conn, p *peer, from source, out, back salt) error {
	t := in.t
	got := &p.received[from.class-Messages]
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
		if k == kindPing {
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
