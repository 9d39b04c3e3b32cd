package transport

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
)

// countingInbox counts what it receives and tells when it is all.
type countingInbox struct {
	left atomic.Int64
	done chan struct{}
}

func (h *countingInbox) Receive(raft.Message) {
	if h.left.Add(-1) == 0 {
		h.done <- struct{}{}
	}
}
func (*countingInbox) ReceiveRequest(uint64, []byte) {}
func (*countingInbox) ReceiveBulk(uint64, []byte)    {}

// BenchmarkSend moves messages over loopback; "bare" writes as many bytes into a connection that somebody drains.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		m := heartbeat(1, 2, 0)
		m.Kind, m.Entries = raft.MsgAppend, []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryNormal, Data: make([]byte, size)}}
		wire := frameHeader + len(raft.AppendMessage(nil, m))
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			in := &countingInbox{done: make(chan struct{}, 1)}
			to := start(b, 2, func(o *Options) { o.Handler = in })
			from := start(b, 1, nil)
			introduce(from, to)
			eventually(b, "they are connected", func() bool { return from.Peers()[0].Connected })
			in.left.Store(int64(b.N))
			b.SetBytes(int64(wire))
			b.ReportAllocs()
			b.ResetTimer()
			s := from.table()[2].stream(Messages)
			for sent := 0; sent < b.N; {
				if s.send(item{kind: kindMessage, size: messageBytes(m), message: m}) {
					sent++
				} else {
					waitForRoom(s)
				}
			}
			<-in.done
		})
		b.Run(fmt.Sprintf("%dKiB/bare", size>>10), func(b *testing.B) {
			l := listen(b)
			defer func() { _ = l.Close() }()
			drained := make(chan error, 1)
			go func() {
				conn, err := l.Accept()
				if err == nil {
					_, err = io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn})
				}
				drained <- err
			}()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, wire)
			b.SetBytes(int64(wire))
			b.ResetTimer()
			for range b.N {
				if _, err := conn.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
			_ = conn.Close()
			if err := <-drained; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// waitForRoom waits until half of the queue is free.
func waitForRoom(s *stream) {
	for {
		if frames, bytes := s.queue.load(); frames < s.queue.maxFrames/2 && bytes < s.queue.maxBytes/2 {
			return
		}
		runtime.Gosched()
	}
}
