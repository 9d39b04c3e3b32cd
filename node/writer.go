package node

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
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

	// State of the log writer, touched by nobody else.
	current write
	blocked bool // current found no space, and is tried again
}

func (w *writer) push(rd raft.Ready) {
	w.mu.Lock()
	w.queue = append(w.queue, rd)
	w.mu.Unlock()
}

// write is what one sync covers.
type write struct {
	number    uint64 // of the last Ready in it
	hard      *raft.HardState
	entries   []raft.Entry
	afterSync []raft.Message
	bytes     int64

	install  *raft.Snapshot // the log begins anew behind it, before the entries
	keepsLog bool           // but for what it holds behind the snapshot already
}

// pop joins queued Readys into one write: those whose entries follow each other, up to a size.
func (w *writer) pop() (out write, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 && out.bytes < maxWriteBytes {
		rd := w.queue[0]
		if rd.Install != nil && ok {
			break // a write of its own
		}
		if len(rd.Entries) > 0 && len(out.entries) > 0 &&
			rd.Entries[0].Index != out.entries[len(out.entries)-1].Index+1 {
			break // replaces entries of this write: a write of its own
		}
		w.queue[0] = raft.Ready{}
		w.queue = w.queue[1:]
		ok = true
		out.number, out.install, out.keepsLog = rd.Number, rd.Install, rd.InstallKeepsLog
		if rd.HardState != nil {
			out.hard = rd.HardState
		}
		if out.entries == nil {
			out.entries = rd.Entries
		} else {
			out.entries = append(out.entries, rd.Entries...)
		}
		out.afterSync = append(out.afterSync, rd.AfterSync...)
		for _, e := range rd.Entries {
			out.bytes += int64(len(e.Data)) + logOverheadBytes
		}
		if rd.Install != nil {
			break
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
		for worked := true; worked; {
			runtime.Gosched() // as in the raft loop: one sync covers what is about to come too
			var err error
			worked, err = n.PersistStep()
			switch {
			case errors.Is(err, ErrBlocked):
				worked = n.pause(spaceRetry)
			case err != nil:
				return
			}
		}
	}
}

// pause waits, and says whether the node still goes on then.
func (n *Node) pause(d time.Duration) bool {
	select {
	case <-n.ended:
		return false
	case <-time.After(d):
		return true
	}
}

// PersistStep is the step of the log writer: it makes what has queued up durable with one sync, and then sends the
// messages that promise it. ErrBlocked says that there is no space for it now.
func (n *Node) PersistStep() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	w := &n.writer
	if !w.blocked && n.awaitsInstall() {
		return false, nil
	}
	if !w.blocked {
		var ok bool
		if w.current, ok = w.pop(); !ok {
			return false, nil
		}
	}
	if err := n.persist(&w.current); err != nil {
		return false, err
	}
	if w.blocked { // else it is the keeper that knows whether there is space for the next file
		w.blocked = false
		n.setDiskFull(nil)
	}
	for _, m := range w.current.afterSync {
		n.net().Send(m)
	}
	n.unpersist.Add(-clientBytes(w.current.entries))
	n.space.written.Add(w.current.bytes)
	n.report(w.current.number, 0, nil)
	n.poke(n.upkeep)
	w.current = write{}
	return true, nil
}

// persist makes one write durable.
func (n *Node) persist(w *write) error {
	if err := n.persistInstall(w); err != nil {
		return err
	}
	if w.hard == nil && len(w.entries) == 0 {
		return nil // only messages that wait for an earlier write, which is durable
	}
	if err := n.mayTakeSpace(w); err != nil {
		n.writer.blocked = true
		n.setDiskFull(err)
		return ErrBlocked
	}
	began := n.opts.Now()
	err := n.log.Append(w.hard, w.entries)
	switch {
	case err == nil:
		n.metrics.commitSeconds.Observe(n.opts.Now().Sub(began).Seconds())
	case vfs.IsNoSpace(err) && n.log.Err() == nil:
		// Nothing of it was written. It is in the core's log, so it waits here for space.
		n.writer.blocked = true
		n.setDiskFull(err)
		return ErrBlocked
	default:
		err = fmt.Errorf("the log could not be written, so nothing more is acknowledged: %w", err)
		n.fail(err)
	}
	return err
}

// mayTakeSpace says why what a leader sent does not go into the log: it would need a new log file, and what that leaves is
// too little for the segments of what is in memory. Those can then be written, and space is found, or it comes back.
// What holds no writes goes into the log in any case. A leader has asked before it took the writes in.
func (n *Node) mayTakeSpace(w *write) error {
	need := wal.BatchBytes(w.entries)
	if need <= n.log.Room() || n.status.Load().Role == raft.Leader ||
		!slices.ContainsFunc(w.entries, func(e raft.Entry) bool { return e.Kind == raft.EntryNormal && ledger.IsWrite(e.Data) }) {
		return nil
	}
	return n.spaceFor(max(need, n.log.FileBytes()))
}

// clientBytes is what the commands among entries take in the log.
func clientBytes(entries []raft.Entry) int64 {
	var sum int64
	for i := range entries {
		if entries[i].Kind == raft.EntryNormal {
			sum += int64(len(entries[i].Data)) + logOverheadBytes
		}
	}
	return sum
}
