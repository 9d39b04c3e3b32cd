package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// hub connects nodes in one process that run with their goroutines.
type hub struct {
	mu    sync.RWMutex
	nodes map[uint64]*Node
}

func (h *hub) to(id uint64) *Node {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.nodes[id]
}

type link struct {
	h    *hub
	from uint64
}

func (l link) SetPeers([]raft.Member) {}

func (l link) Send(m raft.Message) {
	if n := l.h.to(m.To); n != nil {
		if m, err := raft.ParseMessage(raft.AppendMessage(nil, m)); err == nil {
			n.Receive(m)
		}
	}
}

func (l link) SendRequest(to uint64, payload []byte) bool {
	n := l.h.to(to)
	if n != nil {
		n.ReceiveRequest(l.from, payload)
	}
	return n != nil
}

func (l link) SendBulk(to uint64, payload []byte) bool {
	n := l.h.to(to)
	if n != nil {
		n.ReceiveBulk(l.from, payload)
	}
	return n != nil
}

func (h *hub) open(t *testing.T, id uint64, fsys vfs.FS, founders []Founder) *Node {
	t.Helper()
	opts := testOptions(fsys)
	opts.NodeID, opts.Initial, opts.Network = id, founders, link{h, id}
	opts.RaftAddr, opts.HTTPAddr, opts.Heartbeat = raftAddr(id), httpAddr(id), 10*time.Millisecond
	n, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.nodes[id] = n
	h.mu.Unlock()
	return n
}

func (h *hub) close(t *testing.T, id uint64) {
	t.Helper()
	h.mu.Lock()
	n := h.nodes[id]
	delete(h.nodes, id)
	h.mu.Unlock()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// TestRollingRestart restarts every node of a running cluster in turn, after it has retired, while clients write and read
// through the others: nothing acknowledged is lost, no read is stale, and no write fails for good.
func TestRollingRestart(t *testing.T) {
	h := &hub{nodes: make(map[uint64]*Node)}
	disks := make(map[uint64]vfs.FS)
	var founders []Founder
	for id := uint64(1); id <= 3; id++ {
		disks[id] = vfs.NewMem()
		founders = append(founders, Founder{id, raftAddr(id)})
	}
	for _, f := range founders {
		h.open(t, f.NodeID, disks[f.NodeID], founders)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for client := range 6 {
		wg.Go(func() { h.client(t, client, &stop) })
	}
	for id := uint64(1); id <= 3; id++ {
		h.ready(t)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		h.to(id).Retire(ctx)
		cancel()
		if h.to(id).Status().Role == "leader" {
			t.Errorf("node %d has retired and leads", id)
		}
		h.close(t, id)
		h.open(t, id, disks[id], founders)
	}
	h.ready(t)
	stop.Store(true)
	wg.Wait()
	for id := uint64(1); id <= 3; id++ { // on the leader and on those who pass it on
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if _, err := h.to(id).Write(ctx, put("sealed", fmt.Sprint(id))); err != nil {
			t.Errorf("write through node %d: %v", id, err)
		}
		if r, err := h.to(id).Seal(ctx); err != nil || len(r.Segments) == 0 {
			t.Errorf("seal through node %d: %+v, %v", id, r, err)
		}
		cancel()
	}
	for id := uint64(1); id <= 3; id++ {
		h.close(t, id)
	}
}

func (h *hub) ready(t *testing.T) {
	t.Helper()
	for id := uint64(1); id <= 3; id++ {
		select {
		case <-h.to(id).Ready():
		case <-h.to(id).Failed():
			t.Fatalf("node %d failed: %v", id, h.to(id).Err())
		case <-time.After(20 * time.Second):
			t.Fatalf("node %d does not get ready: %+v", id, h.to(id).Status())
		}
	}
}

// client writes one key again and again, each time through another node, repeats under its idempotency key what it is not
// sure of, and reads its own writes back through yet another.
func (h *hub) client(t *testing.T, client int, stop *atomic.Bool) {
	key := fmt.Sprint("client-", client)
	for i := 0; !stop.Load(); i++ {
		value := fmt.Sprint(i)
		cmd := put(key, value)
		cmd.IdempotencyKey = fmt.Sprintf("%d-%d", client, i)
		began := time.Now()
		for try := 0; ; try++ {
			n := h.to(uint64((client+i+try)%3 + 1))
			if n == nil {
				continue
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			_, err := n.Write(ctx, cmd)
			cancel()
			if err == nil {
				break
			}
			var u *Unavailable
			if !errors.As(err, &u) && !errors.Is(err, ledger.ErrClosed) {
				t.Errorf("write: %v", err)
				return
			}
			if time.Since(began) > 20*time.Second {
				t.Errorf("a write fails for good: %v", err)
				return
			}
		}
		for try := 0; ; try++ {
			n := h.to(uint64((client+i+try+1)%3 + 1))
			if n == nil {
				continue
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			err := n.Barrier(ctx)
			cancel()
			if err != nil {
				if time.Since(began) > 20*time.Second {
					t.Errorf("reads fail for good: %v", err)
					return
				}
				continue
			}
			e, err := n.Ledger().Get([]byte(key), ledger.Selector{})
			if errors.Is(err, ledger.ErrClosed) {
				continue
			}
			if err != nil || string(e.Value) != value {
				t.Errorf("client %d wrote %s and reads %v, %v", client, value, e, err)
			}
			break
		}
	}
}
