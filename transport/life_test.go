package transport

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/raft"
)

// TestSilentPeerIsLeft: a peer that takes everything and shows no life is left and dialled again.
func TestSilentPeerIsLeft(t *testing.T) {
	l := listen(t)
	defer func() { _ = l.Close() }()
	a := start(t, 1, func(o *Options) { o.Keepalive, o.IdleTimeout = 5*time.Millisecond, 100*time.Millisecond })
	a.SetPeers([]raft.Member{{ID: 2, RaftAddr: l.Addr().String()}})
	var first []*rawPeer
	for range classes {
		p, _ := welcomeRaw(t, l, 2)
		first = append(first, p)
	}
	for _, p := range first {
		p.awaitEnd(t)
	}
	for range classes {
		_, _ = welcomeRaw(t, l, 2)
	}
}

// TestSilentSenderIsLeft: a connection on which nothing comes, not even a sign of life, is ended; so is one that stops
// within a frame.
func TestSilentSenderIsLeft(t *testing.T) {
	n := start(t, 1, func(o *Options) { o.Keepalive, o.IdleTimeout = 5*time.Millisecond, 60*time.Millisecond })
	p := join(t, n, 2, Messages)
	p.awaitEnd(t)
	p = join(t, n, 2, Messages)
	b := encode(t, p.out, frame{kindRequest, make([]byte, 1000)})
	if _, err := p.Write(b[:500]); err != nil {
		t.Fatal(err)
	}
	p.awaitEnd(t)
	eventually(t, "its peer is gone with it", func() bool { return len(n.Peers()) == 0 })
	if len(n.inbox) > 0 {
		t.Error("half a frame was delivered")
	}
}

// TestIdleConnectionsLive: with nothing to send, keepalives carry both connections over many idle timeouts.
func TestIdleConnectionsLive(t *testing.T) {
	idle := func(o *Options) { o.Keepalive, o.IdleTimeout = 2*time.Millisecond, 400*time.Millisecond }
	a, b := start(t, 1, idle), start(t, 2, idle)
	introduce(a, b)
	up := func(n *testNode) bool { st := n.Peers()[0]; return st.Connected && st.Bulk && st.Inbound == 2 }
	eventually(t, "all four are up", func() bool { return up(a) && up(b) })
	eventually(t, "several idle timeouts have passed", func() bool { return a.Peers()[0].SentBytes > 2*500*frameHeader })
	for _, n := range []*testNode{a, b} {
		for _, s := range n.table()[3-n.id].streams {
			if got := s.connects.Load(); got != 1 {
				t.Errorf("node %d connected %d times for %s", n.id, got, s.class)
			}
		}
	}
}

// TestRestartedPeerIsReachedAtOnce: with an hour between attempts, only the peer's own hello can be why it is dialled.
func TestRestartedPeerIsReachedAtOnce(t *testing.T) {
	slow := func(o *Options) { o.BackoffMin, o.BackoffMax = time.Hour, time.Hour }
	a := start(t, 1, slow)
	l := listen(t)
	addr := l.Addr().String()
	b := start(t, 2, func(o *Options) { slow(o); o.Listener = l })
	introduce(a, b)
	eventually(t, "they are connected", func() bool { return a.Peers()[0].Connected && a.Peers()[0].Bulk })
	_ = b.Close()
	eventually(t, "the peer is found gone", func() bool { return !a.Peers()[0].Connected && !a.Peers()[0].Bulk })

	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	b = start(t, 2, func(o *Options) { slow(o); o.Listener = l })
	introduce(a, b)
	began := time.Now()
	eventually(t, "it is connected again", func() bool { return a.Peers()[0].Connected && a.Peers()[0].Bulk })
	t.Logf("reached after %v", time.Since(began))
}

// TestUnreachablePeer: what cannot be sent is refused rather than kept, so that nothing old leaves when it is back.
func TestUnreachablePeer(t *testing.T) {
	down := make(chan struct{}, 100)
	var up chan struct{}
	a := start(t, 1, func(o *Options) {
		o.BackoffMin, o.BackoffMax = time.Millisecond, time.Millisecond
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			select {
			case <-up:
				var d net.Dialer
				return d.DialContext(ctx, "tcp", addr)
			case down <- struct{}{}:
			default:
			}
			return nil, errors.New("no route")
		}
		up = make(chan struct{})
	})
	b := start(t, 2, nil)
	if a.SendRequest(2, nil) {
		t.Fatal("sent to a node that is no peer")
	}
	a.SetPeers([]raft.Member{{ID: 2, RaftAddr: b.Addr().String()}})
	eventually(t, "the peer is down", func() bool { return !a.SendRequest(2, []byte("old")) && !a.SendBulk(2, []byte("old")) })
	a.Send(heartbeat(1, 2, 1))
	if st := a.Peers()[0]; st.QueuedFrames > 0 || !strings.Contains(st.LastError, "no route") || st.DroppedFrames < 3 {
		t.Errorf("status %+v", st)
	}
	<-down
	close(up)
	eventually(t, "the peer is up", func() bool { return a.SendRequest(2, []byte("new")) })
	if g := b.inbox.next(t); string(g.payload) != "new" {
		t.Errorf("got %+v", g)
	}
}

// TestAnswerToUnknownNode: a node that nobody named can be answered while it is connected, and no longer.
func TestAnswerToUnknownNode(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	a.SetPeers([]raft.Member{{ID: 2, RaftAddr: b.Addr().String()}})
	a.Send(heartbeat(1, 2, 1))
	if g := b.inbox.next(t); g.from != 1 {
		t.Fatalf("got %+v", g)
	}
	b.Send(heartbeat(2, 1, 2))
	if g := a.inbox.next(t); g.from != 2 || g.message.Context != 2 {
		t.Fatalf("got %+v", g)
	}
	b.SetPeers(nil) // says nothing about a node that is connected
	if !b.SendRequest(1, []byte("answer")) {
		t.Fatal("a connected node cannot be answered")
	}
	a.inbox.next(t)
	a.SetPeers(nil)
	eventually(t, "the nodes have forgotten each other", func() bool { return len(b.Peers())+len(a.Peers()) == 0 })
	if b.SendRequest(1, nil) {
		t.Error("sent to a node that is gone")
	}
}

// TestStrangersAreBounded: only so many nodes that nobody named are answered; members always get in.
func TestStrangersAreBounded(t *testing.T) {
	n := start(t, 1, func(o *Options) { o.Dial = func(context.Context, string) (net.Conn, error) { return nil, errCut } })
	for id := uint64(2); id < 2+maxUnlisted; id++ {
		join(t, n, id, Messages)
	}
	say := hello{class: Messages, cluster: testCluster, from: 1000, to: 1}
	p, err := greet(t, dialRaw(t, n.Addr().String()), say)
	if err != nil || p.answer.verdict != refusedFull {
		t.Fatalf("%+v, %v", p, err)
	}
	n.SetPeers([]raft.Member{{ID: 1000}})
	join(t, n, 1000, Messages)
}

// TestMovedPeerIsFound: a member that says it listens elsewhere than SetPeers knows is found there.
func TestMovedPeerIsFound(t *testing.T) {
	gone := listen(t)
	_ = gone.Close()
	a := start(t, 1, func(o *Options) { o.BackoffMin, o.BackoffMax = time.Hour, time.Hour })
	b := start(t, 2, nil)
	a.SetPeers([]raft.Member{{ID: 2, RaftAddr: gone.Addr().String()}})
	eventually(t, "the old address fails", func() bool { return a.Peers()[0].LastError != "" })
	b.SetPeers([]raft.Member{{ID: 1, RaftAddr: a.Addr().String()}})
	eventually(t, "the new one is found", func() bool { return a.Peers()[0].Connected && a.Peers()[0].Bulk })
}

// TestNewAddressIsDialled: SetPeers with another address ends the wait for the next attempt.
func TestNewAddressIsDialled(t *testing.T) {
	a := start(t, 1, func(o *Options) { o.BackoffMin, o.BackoffMax = time.Hour, time.Hour })
	b := start(t, 2, nil)
	a.SetPeers([]raft.Member{{ID: 2}})
	eventually(t, "no address is known", func() bool { return a.Peers()[0].LastError != "" })
	a.SetPeers([]raft.Member{{ID: 2, RaftAddr: b.Addr().String()}})
	eventually(t, "it is connected", func() bool { return a.Peers()[0].Connected && a.Peers()[0].Bulk })
}

func TestReachable(t *testing.T) {
	remote := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 51234}
	for addr, want := range map[string]string{
		"10.0.0.1:9001":    "10.0.0.1:9001",
		"node-2:9001":      "node-2:9001",
		"0.0.0.0:9001":     "10.0.0.7:9001",
		"[::]:9001":        "10.0.0.7:9001",
		":9001":            "10.0.0.7:9001",
		"[fe80::1%e]:9001": "[fe80::1%e]:9001",
		"":                 "",
		"nonsense":         "nonsense",
	} {
		if got := reachable(addr, remote); got != want {
			t.Errorf("%q from %v: %q, want %q", addr, remote, got, want)
		}
	}
}

// TestMembersForgetEachOther: two members that drop each other are rid of each other; as long as one still counts on the
// other, it is answered.
func TestMembersForgetEachOther(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	introduce(a, b)
	all := func(n *testNode) bool {
		s := n.Peers()
		return len(s) == 1 && s[0].Connected && s[0].Bulk && s[0].Inbound == 2
	}
	eventually(t, "they are connected", func() bool { return all(a) && all(b) })
	a.SetPeers(nil)
	eventually(t, "the other side knows that it is no member", func() bool { return b.Peers()[0].Inbound == 0 })
	if !a.SendRequest(2, []byte("answer")) {
		t.Fatal("who counts on this node cannot be answered")
	}
	b.inbox.next(t)
	introduce(a, b)
	eventually(t, "it is a member again", func() bool { return all(a) && all(b) })
	a.SetPeers(nil)
	b.SetPeers(nil)
	eventually(t, "they have forgotten each other", func() bool { return len(a.Peers())+len(b.Peers()) == 0 })
}
