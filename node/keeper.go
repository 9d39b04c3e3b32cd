package node

import (
	"time"

	"github.com/scribe-ledger/scribe/vfs"
)

// upkeepRetry is how often the keeper tries again what a full disk kept it from.
const upkeepRetry = time.Second

// runKeeper is the keeper: it makes the next log file ready ahead of need and drops those that the ledger has put into
// segments, so that the log writer waits for neither.
func (n *Node) runKeeper() {
	defer n.goroutines.Done()
	// The first log file serves the start; making the second one would only compete for the disk.
	select {
	case <-n.stop:
		return
	case <-n.failed:
		return
	case <-n.ready:
	}
	var trimmed uint64
	for {
		trimmed = n.trim(trimmed)
		var retry <-chan time.Time
		if !n.prepare() {
			timer := time.NewTimer(upkeepRetry)
			defer timer.Stop()
			retry = timer.C
		}
		select {
		case <-n.stop:
			return
		case <-n.failed:
			return
		case <-n.upkeep:
		case <-retry:
		}
	}
}

// prepare makes the next log file ready and says whether there is one.
func (n *Node) prepare() bool {
	err := n.log.Prepare()
	if err != nil && !vfs.IsNoSpace(err) {
		// The log says by Err whether this is final; Append meets it again.
		n.opts.Logger.Warn("the next log file could not be prepared; it is tried again", "error", err)
		return false
	}
	n.setDiskFull(err)
	return err == nil
}

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

// trim drops log files that neither the ledger nor the core needs any more, and returns the index up to which.
func (n *Node) trim(trimmed uint64) uint64 {
	index := n.compacted.Load()
	if index == trimmed {
		return trimmed
	}
	if err := n.log.Trim(index); err != nil {
		n.opts.Logger.Warn("old log files could not be dropped; it is tried again", "error", err)
		return trimmed
	}
	return index
}
