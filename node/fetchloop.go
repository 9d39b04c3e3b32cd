package node

import (
	"time"

	"github.com/scribe-ledger/scribe/vfs"
)

// fetchPoll is how often the fetcher looks at its timeouts while something waits for them.
const fetchPoll = 20 * time.Millisecond

// FetchStep goes on with fetching what a snapshot consists of, if this node lacks something.
func (n *Node) FetchStep() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	worked = n.snapshots.step()
	if n.restoring.Load() {
		if done, err := n.goOnRestored(); done || err != nil {
			return true, err
		}
	}
	return worked, nil
}

// ServeStep answers one request of a peer that fetches, if there is one.
func (n *Node) ServeStep() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	return n.snapshots.server.step(), nil
}

// runFetcher is the fetcher.
func (n *Node) runFetcher() {
	n.runSteps(n.FetchStep, n.snapshots.wakeFetch, n.snapshots.wait)
}

// runServer is the server of snapshots.
func (n *Node) runServer() {
	n.runSteps(n.ServeStep, n.snapshots.wakeServe, n.snapshots.server.wait)
}

// runSteps calls a step while it has work, and then whenever it is woken, or after the pause that it is told, if that is
// not 0. Such steps hash and copy much and are in no hurry, so they leave the processor to those that are.
func (n *Node) runSteps(step func() (bool, error), woken chan struct{}, pause func() time.Duration) {
	defer n.goroutines.Done()
	vfs.Background()
	for {
		for worked := true; worked; {
			select {
			case <-n.stop:
				return
			default:
			}
			var err error
			if worked, err = step(); err != nil {
				return // the node has failed
			}
		}
		var later <-chan time.Time
		if d := pause(); d > 0 {
			later = time.After(d)
		}
		select {
		case <-n.stop:
			return
		case <-n.failed:
			return
		case <-woken:
		case <-later:
		}
	}
}
