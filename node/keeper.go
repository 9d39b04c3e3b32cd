package node

import "time"

// upkeepRetry is how often the keeper tries again what a full disk kept it from.
const upkeepRetry = time.Second

// runKeeper is the keeper: it makes the next log file ready ahead of need and drops those that the ledger has put into
// segments, so that the log writer waits for neither. It also watches the disk's free space. Writes and ticks wake it.
func (n *Node) runKeeper() {
	defer n.goroutines.Done()
	// The first log file serves the start; making the second one would only compete for the disk.
	starting := n.ready        // nil once the node has been ready
	var retry <-chan time.Time // set while there was no space: every write wakes the keeper, and would not find more
	for {
		n.look()
		if starting == nil {
			if n.trim() {
				retry = nil
			}
			if retry == nil && !n.prepare() {
				retry = time.After(upkeepRetry)
			}
		}
		select {
		case <-n.ended:
			return
		case <-starting:
			starting = nil
		case <-n.upkeep:
		case <-retry:
			retry = nil
		}
	}
}

// KeepStep is the step of the keeper: it drops log files that are not needed any more and makes the next one ready.
func (n *Node) KeepStep() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	if n.restoring.Load() {
		return false, nil
	}
	n.look()
	worked = n.trim()
	n.prepare()
	return worked, nil
}
