package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/raft"
)

// cutter makes connections that break after a given number of bytes, those for messages.
type cutter struct {
	mu     sync.Mutex
	budget []int // of the connections to come; then they live
	whole  int   // cuts to come
}

func (c *cutter) dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	return &cutConn{Conn: conn, cutter: c}, err
}

// next is the budget of a connection that begins with that hello.
func (c *cutter) next(hello []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if Class(hello[10]) == Bulk || len(c.budget) == 0 {
		return math.MaxInt
	}
	n := c.budget[0]
	c.budget = c.budget[1:]
	return n
}

func (c *cutter) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.whole == 0
}

type cutConn struct {
	net.Conn
	cutter *cutter
	left   int // 0 before the hello
}

var errCut = errors.New("cut")

func (c *cutConn) Write(b []byte) (int, error) {
	if c.left == 0 {
		c.left = c.cutter.next(b)
	}
	if len(b) < c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	n, err := c.Conn.Write(b[:c.left])
	_ = c.Conn.Close()
	c.cutter.mu.Lock()
	c.cutter.whole--
	c.cutter.mu.Unlock()
	if err == nil {
		err = errCut
	}
	return n, err
}

// TestAtMostOnceInOrder: connections break anywhere, also within a frame; what arrives is in order, each once, messages
// and requests in one order, and each frame is counted as written or as dropped.
func TestAtMostOnceInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		budget := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(80, 600), rapid.IntRange(80, 20_000)), 1, 6).Draw(rt, "cuts")
		c := &cutter{budget: budget, whole: len(budget)}
		b := start(t, 2, nil)
		a := start(t, 1, func(o *Options) {
			o.Dial, o.BackoffMin, o.BackoffMax = c.dial, time.Microsecond, 100*time.Microsecond
		})
		defer closeAll(a, b)
		a.SetPeers([]raft.Member{{ID: 2, RaftAddr: b.Addr().String()}})

		sent, last, refused := uint64(0), uint64(0), 0
		check := func(g got) {
			n := g.message.Context
			if g.kind == kindRequest {
				n = binary.BigEndian.Uint64(g.payload)
			}
			if n <= last {
				rt.Fatalf("frame %d arrived after %d", n, last)
			}
			last = n
		}
		arrived := 0
		drain := func() {
			for len(b.inbox) > 0 {
				check(<-b.inbox)
				arrived++
			}
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		burst := func() {
			for range 1 + rng.IntN(8) {
				sent++
				if sent%2 == 0 {
					p := make([]byte, 8+rng.IntN(100))
					binary.BigEndian.PutUint64(p, sent)
					if !a.SendRequest(2, p) {
						refused++
					}
				} else {
					a.Send(heartbeat(1, 2, sent))
				}
			}
			drain()
		}
		for range 100 {
			burst()
		}
		eventually(t, "all connections that are to break have broken", func() bool { burst(); return c.broken() })
		// The last connection lives: what is sent now arrives.
		sent++
		final := make([]byte, 8)
		binary.BigEndian.PutUint64(final, sent)
		eventually(t, "the last connection stands", func() bool { drain(); return a.Peers()[0].Connected })
		tries := uint64(0)
		eventually(t, "the last frame is taken", func() bool { drain(); tries++; return a.SendRequest(2, final) })
		for last < sent {
			check(b.inbox.next(t))
			arrived++
		}
		// What was written before a connection broke may be lost too; nobody can know.
		eventually(t, "each frame is counted as written or as dropped", func() bool {
			written, dropped := a.table()[2].stream(Messages).sent.frames.Load(), a.Peers()[0].DroppedFrames
			return written+dropped == sent-1+tries && dropped >= uint64(refused) && arrived >= 1
		})
	})
}

// heldInbox blocks in the class that is held.
type heldInbox struct {
	inbox
	bulk chan struct{} // bulk is delivered when it is closed
}

func (h heldInbox) ReceiveBulk(from uint64, p []byte) {
	<-h.bulk
	h.inbox.ReceiveBulk(from, p)
}

// TestNewConnectionWaitsForTheOldReader: what an older connection still delivers comes before anything of a newer one.
func TestNewConnectionWaitsForTheOldReader(t *testing.T) {
	held := heldInbox{make(inbox, 16), make(chan struct{})}
	n := start(t, 1, func(o *Options) { o.Handler = held })
	old := join(t, n, 2, Bulk)
	if _, err := old.Write(encode(t, old.out, frame{kindBulk, []byte("old")})); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reader has it", func() bool { return n.Peers()[0].ReceivedBytes > 0 })

	conn := dialRaw(t, n.Addr().String())
	type result struct {
		p   *rawPeer
		err error
	}
	greeted := make(chan result, 1)
	go func() {
		p, err := greet(t, conn, hello{class: Bulk, cluster: testCluster, from: 2, to: 1})
		greeted <- result{p, err}
	}()
	old.awaitEnd(t) // the newer one is there, and has ended the older
	select {
	case <-greeted:
		close(held.bulk)
		t.Fatal("the newer connection was accepted while the older one's reader was at work")
	case <-time.After(50 * time.Millisecond): // time for what is wrong to happen; what is right needs none
	}
	close(held.bulk)
	r := <-greeted
	if r.err != nil || r.p.answer.verdict != accepted {
		t.Fatalf("%+v, %v", r.p, r.err)
	}
	if _, err := r.p.Write(encode(t, r.p.out, frame{kindBulk, []byte("new")})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"old", "new"} {
		if g := held.next(t); string(g.payload) != want {
			t.Fatalf("got %q, want %q", g.payload, want)
		}
	}
}

// TestLateHelloReplacesNothing: a connection that was opened before another one does not end it, though its hello is
// read after the other's.
func TestLateHelloReplacesNothing(t *testing.T) {
	n := start(t, 1, nil)
	late := rawPeer{Conn: dialRaw(t, n.Addr().String())}
	h := hello{class: Messages, cluster: testCluster, from: 2, to: 1}.append(nil)
	if _, err := late.Write(h[:len(h)-1]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first one is accepted", func() bool { return n.inbound() == 1 })
	p := join(t, n, 2, Messages)
	if _, err := late.Write(h[len(h)-1:]); err != nil {
		t.Fatal(err)
	}
	late.awaitEnd(t)
	if _, err := p.Write(encode(t, p.out, frame{kindRequest, []byte("x")})); err != nil {
		t.Fatal(err)
	}
	n.inbox.next(t)
}
