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

// admitSpace refuses clients' writes for want of space: of this node's disk, of so many members' that no quorum has any,
// or of the log's. It is asked with the bytes of a batch of so many commands.
func (n *Node) admitSpace(size, count int) *Unavailable {
	if fault := n.shortFault(); fault != "" {
		return &Unavailable{Reason: DiskFull, Detail: fault}
	}
	return n.admitBytes(size, count)
}

// logHolds says whether a batch fits into the log without a new file. The last file that is ready is taken only if another
// one could be made in its place: it is for the start after a kill, for which there may be no space otherwise.
func (n *Node) logHolds(size, count int) bool {
	need := n.logNeeds(size, count)
	return need <= n.log.Rest() || need <= n.log.Room() && (n.log.Spares() > 1 || n.spaceFor(n.log.FileBytes()) == nil)
}

// spaceFor says why a log file of so many bytes should not be made: it would leave too little for the segments of what is
// in memory. When those are written the log files that held their entries go, and make space for the next. A file system
// that does not tell its free space is tried.
func (n *Node) spaceFor(bytes int64) error {
	space, err := n.opts.FS.Space(n.opts.Dir)
	segments := minFreeBytes + n.ledger.UnflushedBytes()
	if err != nil || space.Free >= uint64(bytes+segments) {
		return nil
	}
	return fmt.Errorf("a log file of %d bytes, and %d to spare for segments, do not fit into %d", bytes, segments, space.Free)
}

// yieldTimeouts is how many election timeouts pass between two tries to hand leadership over for want of space.
const yieldTimeouts = 10

// yield hands leadership over when this node refuses writes for want of space, or is about to, and another has some.
func (n *Node) yield() {
	st := n.status.Load()
	if st.Role != raft.Leader || st.Members.SoleVoter(st.ID) || n.ticks < n.yieldAt ||
		(!n.space.short.Load() && !n.diskFull.Load() && n.spaceFault() == "") {
		return
	}
	to := n.roomiest(st)
	if to == 0 {
		return
	}
	n.yieldAt = n.ticks + uint64(yieldTimeouts*n.opts.ElectionMaxTicks)
	if err := n.core.Transfer(to); err == nil {
		n.opts.Logger.Warn("this node's disk is full; leadership goes to another one", "node_id", to)
	}
}

// spaceFault says why writes are refused for want of space; empty when they are not.
func (n *Node) spaceFault() string {
	if fault := n.shortFault(); fault != "" {
		return fault
	}
	if _, refusal := n.admit(); refusal != nil && refusal.Reason == DiskFull {
		return refusal.Detail
	}
	if st := n.status.Load(); st.Leader != 0 && st.Role != raft.Leader {
		return "" // the leader takes them
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
