package transport

import (
	"bufio"
	"io"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// rawPeer speaks the protocol by hand, so that it can break it.
type rawPeer struct {
	net.Conn
	out, back salt
	answer    answer
}

// greet sends a hello and reads the answer.
func greet(t testing.TB, conn net.Conn, h hello) (*rawPeer, error) {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(h.append(nil)); err != nil {
		return nil, err
	}
	a, err := readAnswer(conn, h.nonce)
	if err != nil {
		return nil, err
	}
	return &rawPeer{Conn: conn, answer: a, out: newSalt(h.nonce, a.nonce), back: newSalt(a.nonce, h.nonce)}, nil
}

func dialRaw(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// join connects to a transport as a node whose hello is accepted.
func join(t testing.TB, to *testNode, from uint64, c Class) *rawPeer {
	t.Helper()
	p, err := greet(t, dialRaw(t, to.Addr().String()),
		hello{class: c, cluster: testCluster, from: from, to: to.id, instance: 100 + from, nonce: 5})
	if err != nil || p.answer.verdict != accepted {
		t.Fatalf("node %d is not accepted: %+v, %v", from, p, err)
	}
	return p
}

// welcomeRaw accepts one connection by hand.
func welcomeRaw(t testing.TB, l net.Listener, id uint64) (*rawPeer, hello) {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	h, err := readHello(conn)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{cluster: testCluster, from: id, to: h.from, instance: 100 + id, nonce: 6}
	if _, err := conn.Write(a.append(nil, h.nonce)); err != nil {
		t.Fatal(err)
	}
	return &rawPeer{Conn: conn, answer: a, out: newSalt(a.nonce, h.nonce), back: newSalt(h.nonce, a.nonce)}, h
}

// frames reads what a sender sends, answers its pings, and hands the rest on until the connection ends.
func (p *rawPeer) frames(each func(frame)) error {
	r := &reader{
		r: bufio.NewReader(p.Conn), salt: p.back, limits: limits{kindMessage: 1 << 20, kindRequest: 1 << 20,
			kindBulk: MaxBulkBytes, kindPing: 0, kindAnswers: 0},
		arm: func() error { return nil }, moved: func(int) error { return nil },
	}
	w := &writer{conn: p.Conn, salt: p.out, timeout: 10 * time.Second, bytes: new(atomic.Uint64)}
	for {
		k, payload, err := r.next()
		if err != nil {
			return err
		}
		if k != kindPing {
			each(frame{k, payload})
			continue
		}
		if err := w.payload(kindPong, nil); err != nil {
			return err
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
}

// awaitEnd waits until the other side has ended the connection.
func (p *rawPeer) awaitEnd(t *testing.T) {
	t.Helper()
	if _, err := io.Copy(io.Discard, p.Conn); err != nil && isTimeout(err) {
		t.Fatal("the connection was not ended")
	}
}

// metric is the sum of a metric over the label values given as name=value.
func metric(t testing.TB, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := math.NaN()
	for _, f := range families {
		if f.GetName() != "scribe_transport_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			all := ""
			for _, l := range m.GetLabel() {
				all += l.GetName() + "=" + l.GetValue() + ","
			}
			if !containsAll(all, labels) {
				continue
			}
			if math.IsNaN(sum) {
				sum = 0
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p+",") {
			return false
		}
	}
	return true
}

// eventually waits for what must become true by itself. It looks again and again; nothing depends on how often.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
