package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scribe-ledger/scribe/raft"
)

// pipeNet is a network of net.Pipe: no buffers, no half-closed connections, no addresses.
type pipeNet struct {
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once
}

func newPipeNet() *pipeNet { return &pipeNet{conns: make(chan net.Conn), gone: make(chan struct{})} }

func (p *pipeNet) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.gone:
		return nil, net.ErrClosed
	}
}
func (p *pipeNet) Close() error   { p.once.Do(func() { close(p.gone) }); return nil }
func (p *pipeNet) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (p *pipeNet) dial(ctx context.Context, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.gone:
	case <-ctx.Done():
	}
	_, _ = near.Close(), far.Close()
	return nil, io.ErrClosedPipe
}

func TestOverPipes(t *testing.T) {
	na, nb := newPipeNet(), newPipeNet()
	a := start(t, 1, func(o *Options) { o.Listener, o.Dial = na, nb.dial })
	b := start(t, 2, func(o *Options) { o.Listener, o.Dial = nb, na.dial })
	introduce(a, b)
	for i := range uint64(50) {
		a.Send(heartbeat(1, 2, i))
		b.Send(heartbeat(2, 1, i))
		if x, y := a.inbox.next(t), b.inbox.next(t); x.message.Context != i || y.message.Context != i {
			t.Fatalf("round %d: %+v, %+v", i, x, y)
		}
	}
}

func TestOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no id":            func(o *Options) { o.ID = 0 },
		"no cluster":       func(o *Options) { o.Cluster = raft.ClusterID{} },
		"no listener":      func(o *Options) { o.Listener = nil },
		"negative queue":   func(o *Options) { o.QueueFrames = -1 },
		"huge frames":      func(o *Options) { o.MaxFrameBytes = raft.MaxMessageBytes + 1 },
		"idle < keepalive": func(o *Options) { o.IdleTimeout, o.Keepalive = time.Second, 2*time.Second },
		"long address":     func(o *Options) { o.Advertise = strings.Repeat("x", 256) },
		"old TLS":          func(o *Options) { o.TLS = &tls.Config{MinVersion: tls.VersionTLS11} },
	} {
		o := Options{ID: 1, Cluster: testCluster, Listener: newPipeNet()}
		change(&o)
		if tr, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
			_ = tr.Close()
		}
	}
}

// TestStart: without a handler nothing is accepted; with one, what waited is.
func TestStart(t *testing.T) {
	b := start(t, 2, func(o *Options) { o.Handler = nil })
	a := start(t, 1, nil)
	introduce(a, b)
	b.Send(heartbeat(2, 1, 1)) // a transport that is not started sends all the same
	a.inbox.next(t)
	if !a.SendRequest(2, []byte("x")) {
		t.Fatal("cannot queue")
	}
	if a.Peers()[0].Connected {
		t.Error("connected to a node that does not accept yet")
	}
	if err := b.Start(b.inbox); err != nil {
		t.Fatal(err)
	}
	b.inbox.next(t)
	if b.Start(b.inbox) == nil || b.Start(nil) == nil {
		t.Error("started twice")
	}
	_ = b.Close()
	if err := b.Start(b.inbox); err != ErrClosed {
		t.Errorf("started after Close: %v", err)
	}
}

// TestClosed: a transport that is closed does nothing more, whatever it is told, and does not fall over.
func TestClosed(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	introduce(a, b)
	eventually(t, "they are connected", func() bool { return a.Peers()[0].Connected })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { closeAll(a) })
	}
	wg.Wait()
	a.SetPeers([]raft.Member{{ID: 2, RaftAddr: b.Addr().String()}})
	a.Send(heartbeat(1, 2, 1))
	if a.SendRequest(2, nil) || a.SendBulk(2, nil) || len(a.Peers()) > 0 {
		t.Error("it still has peers")
	}
}

// TestMetrics: well formed, complete, and gone with the peer and the transport.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	a := start(t, 1, func(o *Options) { o.Registerer = reg })
	b := start(t, 2, nil)
	introduce(a, b)
	if !a.SendRequest(2, make([]byte, 1000)) {
		t.Fatal("cannot send")
	}
	b.inbox.next(t)
	b.Send(heartbeat(2, 1, 1))
	a.inbox.next(t)
	a.Send(heartbeat(1, 77, 1))
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	for name, least := range map[string]float64{
		"sent_bytes_total":      1000,
		"received_bytes_total":  100,
		"received_frames_total": 1,
		"connects_total":        1,
		"connected":             1,
		"queue_bytes":           0,
	} {
		eventually(t, fmt.Sprintf("%s is at least %v", name, least), func() bool { // what has arrived is counted where it was sent, too
			return metric(t, reg, name, "peer=2", "class=messages") >= least
		})
	}
	eventually(t, "the frame is counted as sent", func() bool {
		return metric(t, reg, "sent_frames_total", "peer=2", "class=messages") == 1
	})
	if got := metric(t, reg, "dropped_frames_total", "peer=none", "reason=no_peer"); got != 1 {
		t.Errorf("%v frames to unknown nodes, want 1", got)
	}
	if got := metric(t, reg, "accepted_connections"); got < 1 {
		t.Errorf("%v connections accepted", got)
	}
	_ = b.Close()
	a.SetPeers(nil)
	eventually(t, "the peer's metrics are gone", func() bool {
		return !(metric(t, reg, "sent_bytes_total", "peer=2") >= 0)
	})
	if _, err := New(Options{ID: 1, Cluster: testCluster, Listener: newPipeNet(), Registerer: reg}); err == nil {
		t.Error("registered twice")
	}
	_ = a.Close()
	if n, err := testutil.GatherAndCount(reg); n > 0 || err != nil {
		t.Errorf("%d metrics are left, %v", n, err)
	}
}

// TestBackoff: it doubles up to its maximum, less a part of up to a half, and begins anew.
func TestBackoff(t *testing.T) {
	s := newStream(start(t, 1, nil).Transport, 2, Messages)
	for range 3 {
		want := s.backoff.min
		for range 12 {
			if got := s.backoff.pause(); got > want || got < want/2 {
				t.Errorf("pause of %v, want %v to %v", got, want/2, want)
			}
			want = min(2*want, s.backoff.max)
		}
		s.backoff.reset()
	}
}
