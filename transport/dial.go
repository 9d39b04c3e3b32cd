package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// link is a connection that we dialled, after its hello was accepted.
type link struct {
	conn net.Conn
	raw  net.Conn // conn, or what TLS runs over; closing it never waits
	addr string
	out  salt // of the frames that we send
	back salt // of those that come back
	r    *bufio.Reader
}

// dial opens a connection to a peer. Errors: *refusedError of either side, and those of the network.
func (t *Transport) dial(ctx context.Context, s *stream, addr string) (*link, error) {
	dialCtx, cancel := context.WithTimeout(ctx, t.o.DialTimeout)
	defer cancel()
	raw, err := t.o.Dial(dialCtx, addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	setNoDelay(raw)
	conn := raw
	if t.o.TLS != nil {
		conn = tls.Client(raw, t.clientTLS(addr))
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	l, err := t.greet(ctx, conn, s)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close() // the error that counts is err
		return nil, err
	}
	l.raw, l.addr = raw, addr
	return l, nil
}

// greet says hello and judges the answer.
func (t *Transport) greet(ctx context.Context, conn net.Conn, s *stream) (*link, error) {
	id := s.id
	if err := conn.SetDeadline(time.Now().Add(t.o.HandshakeTimeout)); err != nil {
		return nil, err
	}
	if tc, ok := conn.(*tls.Conn); ok {
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS handshake (does the peer speak TLS?): %w", err)
		}
		if t.o.VerifyPeer != nil {
			if err := t.o.VerifyPeer(id, tc.ConnectionState()); err != nil {
				return nil, refuse(refusedCert, "certificate of node %d: %v", id, err)
			}
		}
	}
	h := hello{
		class: s.class, cluster: t.o.Cluster, from: t.o.ID, to: id, instance: t.o.Instance,
		nonce: rand.Uint64(), addr: t.o.Advertise, answers: s.answers.Load(),
	}
	if _, err := conn.Write(h.append(nil)); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	r := bufio.NewReaderSize(conn, 4<<10)
	a, err := readAnswer(r, h.nonce)
	if err != nil {
		return nil, err
	}
	if err := t.judgeAnswer(a, id); err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return &link{conn: conn, r: r, out: newSalt(h.nonce, a.nonce), back: newSalt(a.nonce, h.nonce)}, nil
}

// judgeAnswer says why the node that answered must not be talked to, if so.
func (t *Transport) judgeAnswer(a answer, id uint64) error {
	switch {
	case a.verdict != accepted:
		return &refusedError{reason: min(a.verdict, lastRefusal), text: a.reason, byPeer: true}
	case a.cluster != t.o.Cluster:
		return refuse(refusedCluster, "node %d belongs to cluster %s, node %d to cluster %s",
			a.from, a.cluster, t.o.ID, t.o.Cluster)
	case a.from != id || a.to != t.o.ID:
		return refuse(refusedTo, "it is node %d, not node %d", a.from, id)
	}
	return t.admit(id, a.instance)
}

func (t *Transport) admit(id, instance uint64) error {
	if t.o.Admit == nil {
		return nil
	}
	if err := t.o.Admit(id, instance); err != nil {
		return refuse(refusedAdmit, "node %d does not admit node %d: %v", t.o.ID, id, err)
	}
	return nil
}

// clientTLS is the configuration to dial with: the name to be shown is the host of the address, unless the
// configuration names one.
func (t *Transport) clientTLS(addr string) *tls.Config {
	if t.o.TLS.ServerName != "" {
		return t.o.TLS
	}
	cfg := t.o.TLS.Clone()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		cfg.ServerName = host
	}
	return cfg
}

// setNoDelay sees to it that small frames leave at once. Connections that are not TCP have no such thing.
func setNoDelay(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true) // it is the default; if it fails, the connection has failed, and shows it soon
	}
}
