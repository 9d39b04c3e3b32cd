package transport

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
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
	why  error // set before conn is closed by us
}

// end closes the connection, for that reason.
func (in *inbound) end(why error) {
	in.once.Do(func() {
		in.why = why
		_ = in.conn.Close() // its reader sees it
	})
}

// run is the life of the connection.
func (in *inbound) run() {
	t := in.t
	from, err := in.session()
	close(in.done)
	in.end(err)
	t.mu.Lock()
	delete(t.conns, in)
	t.mu.Unlock()
	if in.why != err && in.why != nil {
		err = in.why // we closed it; what the reader met is the consequence
	}
	in.report(from, err)
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
	h, err := readHello(conn)
	if err == nil {
		err = t.judgeHello(h, conn)
	}
	from := source{h.from, h.class}
	if err != nil {
		var no *refusedError
		if !errors.As(err, &no) {
			return from, slow(err)
		}
		in.refuse(conn, h, no)
		return from, no
	}
	p, err := t.arrive(h.from, reachable(h.addr, in.conn.RemoteAddr()))
	if err != nil {
		return from, err
	}
	defer t.leave(p)
	defer in.unsettle(from)
	in.settle(from)
	a := t.answer(h, accepted, "")
	if _, err := conn.Write(a.append(nil, h.nonce)); err != nil {
		return from, fmt.Errorf("answer to hello: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return from, err
	}
	return from, in.read(conn, p, from, newSalt(h.nonce, a.nonce), newSalt(a.nonce, h.nonce))
}

// secure does the TLS handshake, when there is to be one.
func (in *inbound) secure() (net.Conn, error) {
	if in.t.o.TLS == nil {
		return in.conn, nil
	}
	conn := tls.Server(in.conn, in.t.o.TLS)
	if err := conn.HandshakeContext(in.t.ctx); err != nil {
		if isTimeout(err) {
			return nil, slow(err)
		}
		return nil, refuse(refusedTLS, "TLS: %v", err)
	}
	return conn, nil
}

// judgeHello says why the node must not be listened to, if so.
func (t *Transport) judgeHello(h hello, conn net.Conn) error {
	switch {
	case h.cluster != t.o.Cluster:
		return refuse(refusedCluster, "node %d belongs to cluster %s, node %d to cluster %s",
			t.o.ID, t.o.Cluster, h.from, h.cluster)
	case h.to != t.o.ID:
		return refuse(refusedTo, "this is node %d, not node %d", t.o.ID, h.to)
	case h.from == t.o.ID:
		return refuse(refusedOwnID, "node %d is here already", t.o.ID)
	}
	if tc, ok := conn.(*tls.Conn); ok && t.o.VerifyPeer != nil {
		if err := t.o.VerifyPeer(h.from, tc.ConnectionState()); err != nil {
			return refuse(refusedCert, "certificate of node %d: %v", h.from, err)
		}
	}
	return t.admit(h.from, h.instance)
}

func (t *Transport) answer(h hello, verdict refusal, reason string) answer {
	return answer{
		verdict: verdict, reason: reason, nonce: rand.Uint64(),
		cluster: t.o.Cluster, from: t.o.ID, to: h.from, instance: t.o.Instance,
	}
}

// refuse tells the other side why, if it can read that, and waits until it has: closing with bytes unread would take
// the answer away from it.
func (in *inbound) refuse(conn net.Conn, h hello, no *refusedError) {
	if no.reason == refusedMagic || no.reason == refusedTLS {
		return
	}
	a := in.t.answer(h, no.reason, no.text)
	if _, err := conn.Write(a.append(nil, h.nonce)); err != nil {
		return // it will find out by itself
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, maxHello) // until it closes, or the handshake's deadline
	}
}

// settle makes this the connection of its source. An older one is ended first, and its reader gone.
func (in *inbound) settle(from source) {
	t := in.t
	t.mu.Lock()
	old := t.current[from]
	t.current[from] = in
	in.greeted = true
	t.mu.Unlock()
	if old != nil {
		old.end(errReplaced)
		<-old.done
	}
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
			return silence(err, t.o.IdleTimeout)
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

// report counts and logs why the connection ended, if that is worth a line.
func (in *inbound) report(from source, err error) {
	t := in.t
	t.metrics.badFrame(err)
	log := t.o.Logger.With("addr", in.conn.RemoteAddr())
	if from.from != 0 {
		log = log.With("peer", from.from)
	}
	var no *refusedError
	var bad *frameError
	switch {
	case errors.As(err, &no):
		t.metrics.refuse(no)
		host, _, splitErr := net.SplitHostPort(in.conn.RemoteAddr().String())
		if splitErr != nil {
			host = in.conn.RemoteAddr().String()
		}
		if t.quiet.allow("refused " + strconv.FormatUint(from.from, 10) + host + no.text) {
			log.Warn("refused a peer", "reason", no.text)
		}
	case errors.As(err, &bad) && bad.reason != badHalf:
		if t.quiet.allow("bad frame " + strconv.FormatUint(from.from, 10) + string(bad.reason)) {
			log.Warn("ended a peer's connection", "class", from.class.String(), "err", err)
		}
	default:
		log.Debug("a peer's connection ended", "class", from.class.String(), "err", err)
	}
}

// slow tells a handshake that took too long from one that was cut off.
func slow(err error) error {
	if isTimeout(err) {
		return refuse(refusedSlow, "it did not say hello in time")
	}
	return err
}

// silence gives a missed deadline its meaning.
func silence(err error, idle time.Duration) error {
	if isTimeout(err) {
		return fmt.Errorf("no sign of life for %v: %w", idle, err)
	}
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func isClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// reachable is the address that a peer gave, with the host from which it came when it listens on all of its own.
func reachable(addr string, remote net.Addr) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return addr
	}
	from, _, err := net.SplitHostPort(remote.String())
	if err != nil {
		return addr
	}
	return net.JoinHostPort(from, port)
}
