package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"time"
)

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

// welcome reads the hello and judges it. When it is refused, the other side has been told.
func (in *inbound) welcome(conn net.Conn) (hello, error) {
	h, err := readHello(conn)
	if err != nil {
		err = slow(err)
	} else {
		in.from, in.addr = source{h.from, h.class}, reachable(h.addr, in.conn.RemoteAddr())
		err = in.t.judgeHello(h, conn)
	}
	if err == nil {
		err = in.counts(!h.answers)
	}
	var no *refusedError
	if errors.As(err, &no) {
		in.refuse(conn, h, no)
	}
	return h, err
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

// linger is how long a refused node has to read why.
const linger = 250 * time.Millisecond

// refuse tells the other side why, if it can read that, and waits until it has: closing with bytes unread would take
// the answer away from it.
func (in *inbound) refuse(conn net.Conn, h hello, no *refusedError) {
	in.report(no)
	if no.reason == refusedMagic || no.reason == refusedTLS || no.reason == refusedSlow {
		return
	}
	a := in.t.answer(h, no.reason, no.text)
	if _, err := conn.Write(a.append(nil, h.nonce)); err != nil {
		return // it will find out by itself
	}
	if err := in.conn.SetReadDeadline(time.Now().Add(linger)); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, maxHello) // ends when it closes, at the latest after linger
	}
}

// slow tells a handshake that took too long from one that was cut off.
func slow(err error) error {
	if isTimeout(err) {
		return refuse(refusedSlow, "it did not say hello in time")
	}
	return err
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
