package transport

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/raft"
)

// TestStalledBulkDelaysNoMessage: a peer reads its messages and nothing of the bulk; its bulk queue fills up to its
// bounds and refuses, and messages pass as before.
func TestStalledBulkDelaysNoMessage(t *testing.T) {
	reg := prometheus.NewRegistry()
	const most = 4 << 20
	l := listen(t)
	defer func() { _ = l.Close() }()
	a := start(t, 1, func(o *Options) { o.Registerer, o.QueueBytes, o.IdleTimeout = reg, most, time.Minute })
	a.SetPeers([]raft.Member{{ID: 2, RaftAddr: l.Addr().String()}})
	arrived := make(chan frame, 16)
	ended := make(chan struct{})
	var conns []*rawPeer
	for range classes {
		p, h := welcomeRaw(t, l, 2)
		conns = append(conns, p)
		if h.class == Messages {
			go func() {
				defer close(ended)
				_ = p.frames(func(f frame) { arrived <- f })
			}()
		}
	}
	payload := make([]byte, 256<<10)
	taken := 0
	// The sockets' buffers take some, and then the queue: what the sender has in hand counts too.
	eventually(t, "the bulk queue is full", func() bool {
		for a.SendBulk(2, payload) {
			taken++
		}
		return metric(t, reg, "queue_bytes", "class=bulk") > most-float64(len(payload)+frameHeader)
	})
	if got := metric(t, reg, "queue_bytes", "class=bulk"); got > most {
		t.Errorf("%v bytes are queued, at most %d", got, most)
	}
	if got := metric(t, reg, "dropped_frames_total", "class=bulk", "reason=full"); got < 1 {
		t.Errorf("%v frames counted as dropped", got)
	}
	for i := range uint64(100) {
		a.Send(heartbeat(1, 2, i))
		select {
		case f := <-arrived:
			if m, err := raft.ParseMessage(f.payload); err != nil || m.Context != i {
				t.Fatalf("%+v, %v", m, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("message %d waits behind %d bulk frames", i, taken)
		}
	}
	for _, p := range conns {
		_ = p.Close()
	}
	<-ended
}

// TestQueue is a model test: in order, within its bounds, each frame once, and what is shut away is told.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const maxFrames, maxBytes = 5, 100
		q := newQueue(maxFrames, maxBytes)
		var waiting, inHand []int
		sizes := func(l []int) (n int) {
			for _, s := range l {
				n += s
			}
			return n
		}
		open := true
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				size := rapid.IntRange(1, 150).Draw(t, "size")
				frames, bytes := len(waiting)+len(inHand), sizes(waiting)+sizes(inHand)
				want := dropNone
				if !open {
					want = dropDown
				} else if frames > 0 && (frames >= maxFrames || bytes+size > maxBytes) {
					want = dropFull
				}
				if got := q.push(item{size: size}); got != want {
					t.Fatalf("push of %d bytes onto %d in %d frames: %v, want %v", size, bytes, frames, got, want)
				}
				if want == dropNone {
					waiting = append(waiting, size)
				}
			},
			"take": func(t *rapid.T) {
				if len(inHand) > 0 {
					t.Skip("the sender has some")
				}
				room := rapid.IntRange(1, 120).Draw(t, "room")
				for _, it := range q.take(nil, room) {
					if len(waiting) == 0 || it.size != waiting[0] || sizes(inHand) >= room {
						t.Fatalf("took %d out of order or beyond %d", it.size, room)
					}
					inHand, waiting = append(inHand, it.size), waiting[1:]
				}
				if len(waiting) > 0 && sizes(inHand) < room {
					t.Fatal("left some behind")
				}
			},
			"done": func(t *rapid.T) {
				var items []item
				for _, s := range inHand {
					items = append(items, item{size: s})
				}
				q.done(items)
				inHand = nil
			},
			"shut": func(t *rapid.T) {
				if n := q.shut(dropDown); n != len(waiting) {
					t.Fatalf("shut threw away %d, %d were waiting", n, len(waiting))
				}
				open, waiting = false, nil
			},
			"open": func(*rapid.T) { q.open(); open = true },
			"": func(t *rapid.T) {
				if frames, bytes := q.load(); frames != len(waiting)+len(inHand) || bytes != sizes(waiting)+sizes(inHand) {
					t.Fatalf("%d frames, %d bytes; want %v and %v", frames, bytes, waiting, inHand)
				}
			},
		})
	})
}

// TestQueueForgetsWhatItGaveAway: a queue that is never quite empty does not grow.
func TestQueueForgetsWhatItGaveAway(t *testing.T) {
	q := newQueue(10, 1000)
	q.push(item{size: 1})
	for range 100_000 {
		q.push(item{size: 1})
		q.done(q.take(nil, 1))
	}
	if frames, _ := q.load(); frames != 1 || cap(q.items) > 8192 {
		t.Errorf("%d frames in an array of %d", frames, cap(q.items))
	}
}

// TestFrameLimits: what no peer would take is not sent.
func TestFrameLimits(t *testing.T) {
	reg := prometheus.NewRegistry()
	b := start(t, 2, func(o *Options) { o.MaxFrameBytes = 64 << 10 })
	a := start(t, 1, func(o *Options) { o.Registerer, o.MaxFrameBytes = reg, 64<<10 })
	introduce(a, b)
	if a.SendRequest(2, make([]byte, 64<<10+1)) || a.SendBulk(2, make([]byte, MaxBulkBytes+1)) {
		t.Error("too large a payload was queued")
	}
	large := heartbeat(1, 2, 0)
	large.Kind = raft.MsgAppend
	large.Entries = []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryNormal, Data: make([]byte, 64<<10)}}
	a.Send(large)
	if got := metric(t, reg, "dropped_frames_total", "peer=2", "reason=too_large"); got != 3 {
		t.Errorf("%v counted as too large, want 3", got)
	}
	if !a.SendRequest(2, make([]byte, 64<<10)) || !a.SendBulk(2, make([]byte, MaxBulkBytes)) {
		t.Error("the largest payload was refused")
	}
	if x, y := b.inbox.next(t), b.inbox.next(t); len(x.payload)+len(y.payload) != 64<<10+MaxBulkBytes {
		t.Errorf("%d and %d bytes arrived", len(x.payload), len(y.payload))
	}
}

// TestLargeFrames: entries and payloads of every size arrive as they were, over pieces and buffers of the sender.
func TestLargeFrames(t *testing.T) {
	b, a := start(t, 2, nil), start(t, 1, nil)
	introduce(a, b)
	data := make([]byte, 20<<20)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	sum := func(p []byte) (n uint64) {
		for _, c := range p {
			n = n*31 + uint64(c)
		}
		return n
	}
	for _, n := range []int{1, directBytes - 1, directBytes, pieceBytes - frameHeader, pieceBytes + 1, 20 << 20} {
		m := heartbeat(1, 2, 0)
		m.Kind, m.Index = raft.MsgAppend, 7
		m.Entries = []raft.Entry{{Index: 8, Term: 1, Kind: raft.EntryNormal, Data: data[:n]}}
		a.Send(m)
		if !a.SendRequest(2, data[:n]) {
			t.Fatalf("a request of %d bytes is not taken", n)
		}
		g := b.inbox.next(t)
		if len(g.message.Entries) != 1 || sum(g.message.Entries[0].Data) != sum(data[:n]) {
			t.Fatalf("an entry of %d bytes arrived as %d entries", n, len(g.message.Entries))
		}
		if g = b.inbox.next(t); sum(g.payload) != sum(data[:n]) {
			t.Fatalf("a request of %d bytes arrived as another one of %d", n, len(g.payload))
		}
	}
}

// TestQueueRoomComesBack: what has been written takes no room any more.
func TestQueueRoomComesBack(t *testing.T) {
	b, a := start(t, 2, nil), start(t, 1, func(o *Options) { o.QueueFrames, o.QueueBytes = 4, 1000 })
	introduce(a, b)
	for i := range 100 {
		eventually(t, "there is room", func() bool { return a.SendRequest(2, []byte{byte(i), 300: 0}) })
		if g := b.inbox.next(t); g.payload[0] != byte(i) {
			t.Fatalf("got %v, want %d", g.payload[0], i)
		}
	}
	eventually(t, "the queue is empty", func() bool { st := a.Peers()[0]; return st.QueuedFrames == 0 && st.QueuedBytes == 0 })
}

// slowConn is a line that takes a while for each write.
type slowConn struct {
	net.Conn
	pause time.Duration
}

func (c slowConn) Write(b []byte) (int, error) {
	time.Sleep(c.pause) // the slowness under test
	return c.Conn.Write(b)
}

// TestLargeFrameOnSlowLine: a frame that takes longer than the idle timeout arrives, since the reader shows that it moves.
func TestLargeFrameOnSlowLine(t *testing.T) {
	const idle = 600 * time.Millisecond
	b := start(t, 2, nil)
	a := start(t, 1, func(o *Options) {
		o.IdleTimeout = idle
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", addr)
			return slowConn{conn, idle / 20}, err
		}
	})
	introduce(a, b)
	if !a.SendRequest(2, make([]byte, 40*pieceBytes)) { // two idle timeouts
		t.Fatal("cannot send")
	}
	if g := b.inbox.next(t); len(g.payload) != 40*pieceBytes {
		t.Fatalf("%d bytes arrived", len(g.payload))
	}
	if got := a.table()[2].stream(Messages).connects.Load(); got != 1 {
		t.Errorf("it took %d connections", got)
	}
}
