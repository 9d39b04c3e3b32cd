package node

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// logOverheadBytes is what an entry costs in the log beside its data, rounded up generously.
	logOverheadBytes = 128
	// maxWriteBytes bounds how much queued work one sync covers.
	maxWriteBytes = 16 << 20
	// spaceRetry is how often a log writer that found no space looks again.
	spaceRetry = 250 * time.Millisecond
)

// writer is the log writer's queue. The core's MaxUncommittedBytes bounds it.
type writer struct {
	mu    sync.Mutex
	queue []raft.Ready
	poke  chan struct{} // capacity 1
}

func (w *writer) push(rd raft.Ready) {
	w.mu.Lock()
	w.queue = append(w.queue, rd)
	w.mu.Unlock()
}

// write is what one sync covers.
type write struct {
	number  uint64 // of the last Ready in it
	hard    *raft.HardState
	entries []raft.Entry
	bytes   int64
}

// pop joins queued Readys into one write: those whose entries follow each other, up to a size.
func (w *writer) pop() (out write, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 && out.bytes < maxWriteBytes {
		rd := w.queue[0]
		if len(rd.Entries) > 0 && len(out.entries) > 0 &&
			rd.Entries[0].Index != out.entries[len(out.entries)-1].Index+1 {
			break // replaces entries of this write: a write of its own
		}
		w.queue[0] = raft.Ready{}
		w.queue = w.queue[1:]
		ok = true
		out.number = rd.Number
		if rd.HardState != nil {
			out.hard = rd.HardState
		}
		if out.entries == nil {
			out.entries = rd.Entries
		} else {
			out.entries = append(out.entries, rd.Entries...)
		}
		for _, e := range rd.Entries {
			out.bytes += int64(len(e.Data)) + logOverheadBytes
		}
	}
	return out, ok
}

// runWriter is the log writer.
func (n *Node) runWriter() {
	defer n.goroutines.Done()
	for {
		select {
		case <-n.stop:
			return
		case <-n.failed:
			return
		case <-n.writer.poke:
		}
		for {
			runtime.Gosched() // as in the raft loop: one sync covers what is about to come too
			w, ok := n.writer.pop()
			if !ok {
				break
			}
			if !n.persist(w) {
				return
			}
		}
	}
}

// persist makes one write durable and says whether the log writer may go on.
func (n *Node) persist(w write) bool {
	for waited := false; ; waited = true {
		began := n.opts.Now()
		err := n.log.Append(w.hard, w.entries)
		if err == nil {
			n.metrics.commitSeconds.Observe(n.opts.Now().Sub(began).Seconds())
			if waited { // else it is the keeper that knows whether there is space for the next file
				n.setDiskFull(nil)
			}
			n.unpersist.Add(-w.clientBytes())
			n.report(w.number, 0, nil)
			n.poke(n.upkeep)
			return true
		}
		if !vfs.IsNoSpace(err) || n.log.Err() != nil {
			n.fail(fmt.Errorf("the log could not be written, so nothing more is acknowledged: %w", err))
			return false
		}
		// Nothing of it was written. It is in the core's log, so it waits here for space.
		n.setDiskFull(err)
		select {
		case <-n.stop:
			return false
		case <-n.failed:
			return false
		case <-time.After(spaceRetry):
		}
	}
}

// clientBytes is what propose counted for the entries of this write.
func (w *write) clientBytes() int64 {
	var sum int64
	for _, e := range w.entries {
		if e.Kind == raft.EntryNormal {
			sum += int64(len(e.Data)) + logOverheadBytes
		}
	}
	return sum
}
