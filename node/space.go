package node

import (
	"fmt"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// minFreeBytes is the disk space that the log leaves alone in any case: for the manifest, and for what segments take
	// beyond what reserve foresees.
	minFreeBytes = 16 << 20
	// ownCommandBytes is the room that clients leave in the log for the node's own commands, without which a full log
	// would never be sealed and shrink: seals, records of segments, and the hard state and first entry of a new term.
	ownCommandBytes = 4 << 10
)

// reserve is the disk space that a log with so many bytes more must leave for segments: enough to flush one, after
// which the log files that held its entries go and make space for the next. A memtable is sealed at SealBytes and its
// segment is no longer than that, nor, but for the smallest entries, than the log that its entries stand in; so a small
// disk is not kept from filling a log that will never hold a memtable of that size.
func (n *Node) reserve(more int64) int64 {
	return minFreeBytes + min(n.opts.Ledger.SealBytes, n.log.DiskBytes()+more)
}

// admitBytes refuses what the log has no space for, before it enters the log: once there it could not be taken back.
// It is asked with the bytes of a batch of so many commands.
func (n *Node) admitBytes(size, count int) *Unavailable {
	if n.logHolds(size, count) {
		return nil
	}
	// A new file is needed, and nothing less than a whole one will do.
	err := n.spaceFor(max(n.logNeeds(size, count), n.log.FileBytes()))
	if err == nil && !n.diskFull.Load() {
		return nil
	}
	detail := "the log could not get space when it last tried"
	if err != nil {
		detail = err.Error()
	}
	return &Unavailable{Reason: DiskFull, Detail: "the disk is full: " + detail + "; free space and retry"}
}

// logNeeds is what the log takes for a batch of clients' commands, beyond what it holds durably.
func (n *Node) logNeeds(size, count int) int64 {
	return n.unpersist.Load() + n.proposedBytes.Load() + int64(size) + int64(count+1)*logOverheadBytes + ownCommandBytes
}

// logHolds says whether a batch fits into the log without a new file.
func (n *Node) logHolds(size, count int) bool { return n.logNeeds(size, count) <= n.log.Room() }

// spaceFor says why a log file of so many bytes should not be made: it would leave too little for segments. A file
// system that does not tell its free space is tried.
func (n *Node) spaceFor(bytes int64) error {
	space, err := n.opts.FS.Space(n.opts.Dir)
	reserve := n.reserve(bytes)
	if err != nil || space.Free >= uint64(bytes+reserve) {
		return nil
	}
	return fmt.Errorf("a log file of %d bytes, and %d to spare for segments, do not fit into %d", bytes, reserve, space.Free)
}

// yieldTimeouts is how many election timeouts pass between two tries to hand leadership over for want of space.
const yieldTimeouts = 10

// yield hands leadership over when this node is about to refuse writes for want of space, and others may have some.
func (n *Node) yield() {
	st := n.status.Load()
	if st.Role != raft.Leader || st.Members.SoleVoter(st.ID) || n.ticks < n.yieldAt ||
		(!n.diskFull.Load() && n.spaceFault() == "") {
		return
	}
	n.yieldAt = n.ticks + uint64(yieldTimeouts*n.opts.ElectionMaxTicks)
	if err := n.core.Transfer(0); err == nil {
		n.opts.Logger.Warn("this node's disk is full; leadership goes to another one")
	}
}

// spaceFault says why writes are refused for want of space; empty when they are not.
func (n *Node) spaceFault() string {
	if _, refusal := n.admit(); refusal != nil && refusal.Reason == DiskFull {
		return refusal.Detail
	}
	if n.diskFull.Load() && !n.logHolds(smallWriteBytes, 1) {
		return "the disk is full: the log could not get space when it last tried"
	}
	return ""
}

// prepare makes the next log file ready and says whether there is one.
func (n *Node) prepare() bool {
	if n.log.Prepared() {
		n.setDiskFull(nil)
		return true
	}
	err := n.spaceFor(n.log.FileBytes())
	if err == nil {
		if err = n.log.Prepare(); err != nil && !vfs.IsNoSpace(err) {
			// The log says by Err whether this is final; Append meets it again.
			n.opts.Logger.Warn("the next log file could not be prepared; it is tried again", "error", err)
			return false
		}
	}
	n.setDiskFull(err)
	return err == nil
}

// setDiskFull notes what came of the last try to get space for the log.
func (n *Node) setDiskFull(err error) {
	if was := n.diskFull.Swap(err != nil); was == (err != nil) {
		return
	}
	if err != nil {
		n.opts.Logger.Error("no space for the next log file; writes are refused once the present one is full", "error", err)
	} else {
		n.opts.Logger.Info("the log has space again")
	}
}
