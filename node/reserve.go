package node

import (
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// spaceLook is how old the figure of free space may get before the keeper looks again.
	spaceLook = time.Second
	// minLookBytes and maxLookBytes bound how much the log may grow before it does so.
	minLookBytes, maxLookBytes = 1 << 20, 16 << 20
	// autoShare and autoMost make the reserve of a node that was told none: a hundredth of the file system, at most.
	autoShare, autoMost = 100, 1 << 30
)

// space is what this node knows of its disk. The keeper looks, everybody reads, and so no write asks the file system.
//
// The reserve is what clients leave alone: it is for the segments of what is in memory, for the log files of a new term
// and of a restart, and for merges. The node falls short when less is free than that, and has space again when an eighth
// of the reserve is free beyond it.
type space struct {
	free    atomic.Int64
	reserve atomic.Int64
	short   atomic.Bool
	written atomic.Int64 // bytes that the log took since the last look

	// Owned by the keeper; by Open before it runs.
	lookedAt time.Time
	looked   bool
}

// due says whether the figures are too old to go by.
func (s *space) due(now time.Time) bool {
	margin := (s.free.Load() - s.reserve.Load()) / 4
	return !s.looked || now.Sub(s.lookedAt) >= spaceLook || now.Before(s.lookedAt) ||
		s.written.Load() >= min(max(margin, minLookBytes), maxLookBytes)
}

// look asks the file system for its free space, when that is due, and notes whether this node is short of it. A file
// system that does not tell is taken for one with space: what fails then is tried again.
func (n *Node) look() {
	s, now := &n.space, n.opts.Now()
	if !s.due(now) {
		return
	}
	s.written.Store(0)
	s.lookedAt, s.looked = now, true
	is, err := n.opts.FS.Space(n.opts.Dir)
	if err != nil {
		return
	}
	free, reserve := int64(min(is.Free, 1<<62)), n.reserveOf(is.Total)
	need := reserve + n.ledger.UnflushedBytes()
	s.free.Store(free)
	s.reserve.Store(need)
	if s.short.Load() {
		need += reserve / 8
	}
	short := free < need
	if s.short.Swap(short) == short {
		return
	}
	n.poke(n.wake) // to tell the leader
	if short {
		n.opts.Logger.Error("this node is short of disk space", "dir", n.opts.Dir, "free_bytes", free,
			"reserve_bytes", need)
	} else {
		n.opts.Logger.Info("this node has disk space again", "dir", n.opts.Dir, "free_bytes", free, "reserve_bytes", need)
	}
}

// reserveOf is the reserve on a file system of that size, without what the segments of the entries in memory will take.
// One that the node chooses leaves room for a log file: without it a node could not get through an election.
func (n *Node) reserveOf(total uint64) int64 {
	if n.opts.DiskReserveBytes > 0 {
		return n.opts.DiskReserveBytes
	}
	return max(int64(min(total/autoShare, autoMost)), minFreeBytes+n.log.FileBytes())
}

// shortOfSpace says what this node lacks; empty when it has enough.
func (n *Node) shortOfSpace() string {
	if !n.space.short.Load() {
		return ""
	}
	return fmt.Sprintf("%d bytes are free on the disk of node %d, which keeps %d for segments and its log",
		n.space.free.Load(), n.opts.NodeID, n.space.reserve.Load())
}
