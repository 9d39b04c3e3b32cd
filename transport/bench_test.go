package transport

import (
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
)

// window lets so many messages be on their way: each that is received gives back its place.
type window chan struct{}

func (w window) Receive(raft.Message)        { <-w }
func (window) ReceiveRequest(uint64, []byte) {}
func (window) ReceiveBulk(uint64, []byte)    {}

// BenchmarkSend moves messages over loopback; "bare" writes as many bytes into a connection that somebody drains.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		m := heartbeat(1, 2, 0)
		m.Kind, m.Entries = raft.MsgAppend, []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryNormal, Data: make([]byte, size)}}
		wire := frameHeader + len(raft.AppendMessage(nil, m))
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			in := make(window, 512)
			to := start(b, 2, func(o *Options) { o.Handler = in })
			from := start(b, 1, nil)
			introduce(from, to)
			eventually(b, "they are connected", func() bool { return from.Peers()[0].Connected })
			b.SetBytes(int64(wire))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				in <- struct{}{}
				from.Send(m)
			}
			for range cap(in) { // all have arrived when every place is free
				in <- struct{}{}
			}
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
