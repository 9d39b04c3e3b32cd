package node

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// BenchmarkWrite: durable writes of 16-byte keys and 256-byte values by 256 writers, on a node that is alone.
func BenchmarkWrite(b *testing.B) {
	n, err := Open(Options{FS: vfs.NewOS(), Dir: b.TempDir(), NodeID: 1, RaftAddr: "localhost:1", HTTPAddr: "localhost:2"})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	<-n.Ready()
	const writers = 256
	var next atomic.Uint64
	var group sync.WaitGroup
	b.SetBytes(16 + 256)
	b.ReportAllocs()
	b.ResetTimer()
	for range writers {
		group.Go(func() {
			key, value := make([]byte, 16), make([]byte, 256)
			cmd := &ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: key, Value: value}}}
			for i := next.Add(1); i <= uint64(b.N); i = next.Add(1) {
				binary.BigEndian.PutUint64(key, i*0x9e3779b97f4a7c15)
				binary.BigEndian.PutUint64(value, i)
				if _, err := n.Write(context.Background(), cmd); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
