package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/raft"
)

// logBook keeps log lines.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBook) count(parts ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
line:
	for line := range strings.Lines(l.buf.String()) {
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue line
			}
		}
		n++
	}
	return n
}

func (l *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestRefusals: who must not be talked to is refused, counted, told why, and named in one line on both sides; attempts
// that repeat add none.
func TestRefusals(t *testing.T) {
	other := raft.ClusterID{9}
	for _, tc := range []struct {
		name     string
		acceptor func(*Options)
		dialler  func(*Options)
		as       uint64 // the id under which node 1 looks for node 2
		want     refusal
		says     string
	}{
		{"other cluster", nil, func(o *Options) { o.Cluster = other }, 2, refusedCluster,
			"node 2 belongs to cluster " + testCluster.String() + ", node 1 to cluster " + other.String()},
		{"other node", nil, nil, 3, refusedTo, "this is node 2, not node 3"},
		{"own id", nil, func(o *Options) { o.ID = 2 }, 2, refusedOwnID, ""},
		{"not admitted", func(o *Options) {
			o.Admit = func(id, instance uint64) error {
				if id != 1 || instance != 101 {
					return nil
				}
				return errors.New("its data was replaced; remove node 1 and join it anew")
			}
		}, nil, 2, refusedAdmit, "its data was replaced; remove node 1 and join it anew"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log1, log2 logBook
			var heard atomic.Value // what the one that was refused was told of it
			reg1, reg2 := prometheus.NewRegistry(), prometheus.NewRegistry()
			b := start(t, 2, func(o *Options) {
				o.Logger, o.Registerer = log2.logger(), reg2
				if tc.acceptor != nil {
					tc.acceptor(o)
				}
			})
			a := start(t, 1, func(o *Options) {
				o.Logger, o.Registerer, o.BackoffMin, o.BackoffMax = log1.logger(), reg1, 1, time.Millisecond
				o.Refused = func(peer uint64, reason string) { heard.Store(fmt.Sprint(peer, " ", reason)) }
				if tc.dialler != nil {
					tc.dialler(o)
				}
			})
			if tc.want == refusedOwnID {
				// It would never dial itself: say by hand that it is node 2.
				p, err := greet(t, dialRaw(t, b.Addr().String()), hello{class: Messages, cluster: testCluster, from: 2, to: 2})
				if err != nil || p.answer.verdict != refusedOwnID {
					t.Fatalf("%+v, %v", p, err)
				}
				eventually(t, "it is counted", func() bool {
					return metric(t, reg2, "refused_total", "reason=own_id") == 1
				})
				return
			}
			a.SetPeers([]raft.Member{{ID: tc.as, RaftAddr: b.Addr().String()}})
			eventually(t, "both sides count several attempts", func() bool {
				reason := "reason=" + tc.want.String()
				return metric(t, reg1, "refused_by_peer_total", reason) > 5 &&
					metric(t, reg2, "refused_total", reason) > 5
			})
			// One connection may be counted and about to be told of while others are counted after it.
			toldTo := func() int { return log1.count("peer refused us", b.Addr().String(), tc.says) }
			toldBy := func() int { return log2.count("refused a peer", "peer=1", tc.says) }
			eventually(t, "both sides tell of it", func() bool { return toldTo() > 0 && toldBy() > 0 })
			if n := toldTo(); n != 1 {
				t.Errorf("%d lines on the side that was refused:\n%s", n, log1.buf.String())
			}
			if n := toldBy(); n != 1 {
				t.Errorf("%d lines on the side that refused:\n%s", n, log2.buf.String())
			}
			eventually(t, "the status tells it", func() bool {
				st := a.Peers()[0]
				return !st.Connected && strings.Contains(st.LastError, "refused us")
			})
			told, _ := heard.Load().(string)
			if forWhoItIs := tc.want == refusedAdmit; forWhoItIs != (told != "") ||
				forWhoItIs && (!strings.HasPrefix(told, "2 ") || !strings.Contains(told, tc.says)) {
				t.Errorf("it was told %q", told)
			}
			if len(a.inbox)+len(b.inbox) > 0 {
				t.Error("something was delivered")
			}
		})
	}
}

// TestDiallerJudgesToo: a node that answers as another one, or of another cluster, or that is not admitted, is left.
func TestDiallerJudgesToo(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer answer
		want   refusal
	}{
		{"another node", answer{cluster: testCluster, from: 3, to: 1}, refusedTo},
		{"for another node", answer{cluster: testCluster, from: 2, to: 7}, refusedTo},
		{"another cluster", answer{cluster: raft.ClusterID{8}, from: 2, to: 1}, refusedCluster},
		{"not admitted", answer{cluster: testCluster, from: 2, to: 1, instance: 666}, refusedAdmit},
	} {
		reg := prometheus.NewRegistry()
		l := listen(t)
		defer func() { _ = l.Close() }()
		n := start(t, 1, func(o *Options) {
			o.Registerer = reg
			o.BackoffMin, o.BackoffMax = time.Hour, time.Hour
			o.Admit = func(id, instance uint64) error {
				if instance == 666 {
					return errors.New("its data was replaced")
				}
				return nil
			}
		})
		n.SetPeers([]raft.Member{{ID: 2, RaftAddr: l.Addr().String()}})
		for range classes {
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			h, err := readHello(conn)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(tc.answer.append(nil, h.nonce)); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); n > 0 || (err != io.EOF && isTimeout(err)) {
				t.Errorf("%s: the connection goes on: %v", tc.name, err)
			}
			_ = conn.Close()
		}
		eventually(t, tc.name+" is counted", func() bool {
			return metric(t, reg, "refused_total", "reason="+tc.want.String()) == 2
		})
	}
}

// TestHostileBytes: whatever a connection sends that a sender would not send ends it, is counted, and reaches nobody.
func TestHostileBytes(t *testing.T) {
	reg := prometheus.NewRegistry()
	n := start(t, 1, func(o *Options) { o.Registerer, o.MaxFrameBytes = reg, 1<<20 })
	forged := heartbeat(3, 1, 0)
	elsewhere := heartbeat(2, 4, 0)
	foreign := heartbeat(2, 1, 0)
	foreign.ClusterID = raft.ClusterID{7}
	hugeTerm := heartbeat(2, 1, 0)
	hugeTerm.Term = 1<<64 - 2
	claim := func(p *rawPeer) []byte {
		h := make([]byte, frameHeader)
		binary.BigEndian.PutUint32(h, 1<<31)
		h[4] = byte(kindRequest)
		binary.BigEndian.PutUint64(h[24:], headerSum(p.out, h))
		return h
	}
	frames := func(f ...frame) func(*rawPeer) []byte {
		return func(p *rawPeer) []byte { return encode(t, p.out, f...) }
	}
	message := func(m raft.Message) func(*rawPeer) []byte {
		return frames(frame{kindMessage, raft.AppendMessage(nil, m)})
	}
	for _, tc := range []struct {
		name  string
		class Class
		bytes func(p *rawPeer) []byte
		want  badReason
	}{
		{"claims 2 GiB", Messages, claim, badLength},
		{"bulk among messages", Messages, frames(frame{kindBulk, []byte("x")}), badKind},
		{"a request in bulk", Bulk, frames(frame{kindRequest, []byte("x")}), badKind},
		{"a pong", Messages, frames(frame{kindPong, nil}), badKind},
		{"too much bulk", Bulk, frames(frame{kindBulk, make([]byte, MaxBulkBytes+1)}), badLength},
		{"not a message", Messages, frames(frame{kindMessage, make([]byte, 96)}), badMessage},
		{"an empty message", Messages, frames(frame{kindMessage, nil}), badMessage},
		{"from another node", Messages, message(forged), badSender},
		{"for another node", Messages, message(elsewhere), badSender},
		{"of another cluster", Messages, message(foreign), badSender},
		{"term near 2^64", Messages, message(hugeTerm), badMessage},
		{"of another connection", Messages, func(*rawPeer) []byte {
			return encode(t, newSalt(5, 5), frame{kindRequest, []byte("x")})
		}, badHeader},
		{"half a frame", Messages, func(p *rawPeer) []byte {
			return encode(t, p.out, frame{kindRequest, make([]byte, 5000)})[:3000]
		}, badHalf},
		{"changed on the way", Messages, func(p *rawPeer) []byte {
			b := encode(t, p.out, frame{kindRequest, make([]byte, 5000)})
			b[3000] ^= 4
			return b
		}, badPayload},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := metric(t, reg, "bad_frames_total", "reason="+string(tc.want))
			p := join(t, n, 2, tc.class)
			_, err := p.Write(tc.bytes(p))
			if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) { // it ends at the header
				t.Fatal(err)
			}
			if tc.want == badHalf {
				_ = p.Close()
			}
			p.awaitEnd(t)
			eventually(t, "it is counted", func() bool {
				return metric(t, reg, "bad_frames_total", "reason="+string(tc.want)) == before+1
			})
			if len(n.inbox) > 0 {
				t.Errorf("delivered: %+v", <-n.inbox)
			}
		})
	}
	// A good peer is heard all the same.
	p := join(t, n, 2, Messages)
	if _, err := p.Write(encode(t, p.out, frame{kindRequest, []byte("good")})); err != nil {
		t.Fatal(err)
	}
	if g := n.inbox.next(t); string(g.payload) != "good" {
		t.Errorf("got %+v", g)
	}
}

// TestReplayAcrossConnections: what was taken on one connection is not taken on another, though all else is the same.
func TestReplayAcrossConnections(t *testing.T) {
	n := start(t, 1, nil)
	p := join(t, n, 2, Messages)
	b := encode(t, p.out, frame{kindRequest, []byte("once")})
	if _, err := p.Write(b); err != nil {
		t.Fatal(err)
	}
	n.inbox.next(t)
	again := join(t, n, 2, Messages) // the same hello, byte for byte
	if _, err := again.Write(b); err != nil {
		t.Fatal(err)
	}
	again.awaitEnd(t)
	if len(n.inbox) > 0 {
		t.Fatalf("delivered again: %+v", <-n.inbox)
	}
}

// TestFloodOfSilentConnections: they do not keep a member out, and neither do they stay.
func TestFloodOfSilentConnections(t *testing.T) {
	reg := prometheus.NewRegistry()
	const most = 6
	n := start(t, 1, func(o *Options) {
		o.Registerer, o.MaxConnections, o.HandshakeTimeout = reg, most, time.Minute
	})
	var silent []net.Conn
	for range 5 * most {
		silent = append(silent, dialRaw(t, n.Addr().String()))
	}
	p := join(t, n, 2, Messages)
	if _, err := p.Write(encode(t, p.out, frame{kindRequest, []byte("x")})); err != nil {
		t.Fatal(err)
	}
	n.inbox.next(t)
	eventually(t, "all but the newest have given way", func() bool {
		return metric(t, reg, "refused_total", "reason=connections") == 5*most+1-most
	})
	if got := n.inbound(); got > most {
		t.Errorf("%d connections are open, at most %d", got, most)
	}
	// Those that said hello stay: with no silent one left, a newcomer is closed.
	for _, c := range silent {
		_ = c.Close()
	}
	eventually(t, "the silent ones are gone", func() bool { return n.inbound() == 1 })
	for id := uint64(3); id < 2+most; id++ {
		join(t, n, id, Messages)
	}
	late := rawPeer{Conn: dialRaw(t, n.Addr().String())}
	late.awaitEnd(t)
	if _, err := p.Write(encode(t, p.out, frame{kindRequest, nil}, frame{kindRequest, []byte("y")})[frameHeader:]); err != nil {
		t.Fatal(err)
	}
	if g := n.inbox.next(t); string(g.payload) != "y" {
		t.Errorf("got %+v", g)
	}
}

// TestSlowHello: a connection that never finishes its hello is ended, though it sends a byte now and then.
func TestSlowHello(t *testing.T) {
	reg := prometheus.NewRegistry()
	n := start(t, 1, func(o *Options) { o.Registerer, o.HandshakeTimeout = reg, 50*time.Millisecond })
	p := rawPeer{Conn: dialRaw(t, n.Addr().String())}
	b := hello{class: Messages, cluster: testCluster, from: 2, to: 1}.append(nil)
	for i := range b[:len(b)-1] {
		if _, err := p.Write(b[i : i+1]); err != nil {
			break // ended meanwhile, which is right
		}
		if i%8 == 7 {
			time.Sleep(10 * time.Millisecond) // the slowness under test
		}
	}
	p.awaitEnd(t)
	eventually(t, "it is counted", func() bool { return metric(t, reg, "refused_total", "reason=slow") == 1 })
}

// TestStrangersCannotFillTheLog: however many things there are to say about strangers, few are said, and they do not keep
// out what there is to say about peers.
func TestStrangersCannotFillTheLog(t *testing.T) {
	var log logBook
	n := start(t, 1, func(o *Options) { o.Logger, o.BackoffMin, o.BackoffMax = log.logger(), time.Hour, time.Hour })
	for id := uint64(2); id < 2*quietKeys; id++ {
		p, err := greet(t, dialRaw(t, n.Addr().String()), hello{class: Messages, cluster: raft.ClusterID{9}, from: id, to: 1})
		if err != nil || p.answer.verdict != refusedCluster {
			t.Fatalf("%+v, %v", p, err)
		}
		_ = p.Close()
	}
	if got := log.count("refused a peer"); got != quietKeys {
		t.Errorf("%d lines, want %d", got, quietKeys)
	}
	n.SetPeers([]raft.Member{{ID: 2}})
	eventually(t, "a peer out of reach is logged", func() bool { return log.count("cannot reach peer", "class=messages") == 1 })
}
