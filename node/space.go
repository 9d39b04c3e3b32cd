package node

import (
	"fmt"

	"github.com/scribe-ledger/scribe/vfs"
)

// minFreeBytes is the disk space that the log leaves alone, so that segments can still be flushed and the log shrink.
const minFreeBytes = 16 << 20

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

// logNeeds is what the log takes once the batch is in it, beyond what it holds durably.
func (n *Node) logNeeds(size, count int) int64 {
	return n.unpersist.Load() + int64(size) + int64(count+1)*logOverheadBytes
}

// logHolds says whether a batch fits into the log without a new file.
func (n *Node) logHolds(size, count int) bool { return n.logNeeds(size, count) <= n.log.Room() }

// spaceFor says why a log file of so many bytes should not be made: it would leave too little for segments. A file
// system that does not tell its free space is tried.
func (n *Node) spaceFor(bytes int64) error {
	free, err := n.opts.FS.Free(n.opts.Dir)
	if err != nil || free >= uint64(bytes)+minFreeBytes {
		return nil
	}
	return fmt.Errorf("a log file of %d bytes, and %d to spare for segments, do not fit into %d", bytes, minFreeBytes,
		free)
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
