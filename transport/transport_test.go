package transport

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/scribe-ledger/scribe/raft"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testCluster = raft.ClusterID{1, 2, 3}

func heartbeat(from, to, context uint64) raft.Message {
	return raft.Message{
		Kind: raft.MsgHeartbeat, ClusterID: testCluster, From: from, To: to, Term: 1, Context: context,
	}
}

// got is what a handler received, in order.
type got struct {
	from    uint64
	kind    kind
	message raft.Message
	payload []byte
}

// inbox is a Handler that hands on what it receives.
type inbox chan got

func (h inbox) Receive(m raft.Message) { h <- got{from: m.From, kind: kindMessage, message: m} }
func (h inbox) ReceiveRequest(from uint64, p []byte) {
	h <- got{from: from, kind: kindRequest, payload: p}
}
func (h inbox) ReceiveBulk(from uint64, p []byte) { h <- got{from: from, kind: kindBulk, payload: p} }

// next waits for what comes next.
func (h inbox) next(t *testing.T) got {
	t.Helper()
	select {
	case g := <-h:
		return g
	case <-time.After(10 * time.Second):
		t.Fatal("nothing arrived")
	}
	return got{}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type testNode struct {
	*Transport
	inbox inbox
	id    uint64
}

// start runs a transport on loopback.
func start(t testing.TB, id uint64, change func(*Options)) *testNode {
	t.Helper()
	n := &testNode{inbox: make(inbox, 4096), id: id}
	o := Options{ID: id, Instance: 100 + id, Cluster: testCluster, Handler: n.inbox, Seed: id}
	if change != nil {
		change(&o)
	}
	if o.Listener == nil {
		o.Listener = listen(t)
	}
	tr, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	n.Transport = tr
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Errorf("node %d: close: %v", id, err)
		}
	})
	return n
}

func introduce(nodes ...*testNode) {
	var all []raft.Member
	for _, n := range nodes {
		all = append(all, raft.Member{ID: n.id, Role: raft.Voter, RaftAddr: n.Addr().String()})
	}
	for _, n := range nodes {
		n.SetPeers(all)
	}
}

func TestThreeNodesTalk(t *testing.T) {
	nodes := []*testNode{start(t, 1, nil), start(t, 2, nil), start(t, 3, nil)}
	introduce(nodes...)
	for _, from := range nodes {
		for _, to := range nodes {
			if from == to {
				continue
			}
			from.Send(heartbeat(from.id, to.id, 7))
			if !from.SendRequest(to.id, []byte("request")) || !from.SendBulk(to.id, []byte("bulk")) {
				t.Fatalf("node %d cannot send to node %d", from.id, to.id)
			}
			seen := map[kind]bool{}
			for range 3 {
				g := to.inbox.next(t)
				if g.from != from.id || seen[g.kind] {
					t.Fatalf("node %d got %+v", to.id, g)
				}
				seen[g.kind] = true
			}
		}
	}
}

func closeAll(nodes ...*testNode) {
	for _, n := range nodes {
		_ = n.Close() // the cleanup of start reports errors
	}
}
