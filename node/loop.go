package node

import (
	"runtime"
	"sync"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
)

// progress is what the log writer and the apply loop have done since the raft loop last looked.
type progress struct {
	mu        sync.Mutex
	persisted uint64
	applied   uint64
	wants     []ledger.WantKey // applied
}

// report adds to the progress and wakes the raft loop.
func (n *Node) report(persisted, applied uint64, wants []ledger.WantKey) {
	p := &n.progress
	p.mu.Lock()
	p.persisted = max(p.persisted, persisted)
	p.applied = max(p.applied, applied)
	p.wants = append(p.wants, wants...)
	p.mu.Unlock()
	n.poke(n.wake)
}

func (n *Node) poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ledgerChanged is the ledger's notification: there may be something to propose, and entries that the log
// need not keep.
func (n *Node) ledgerChanged() {
	n.roots.due.Store(true)
	n.poke(n.wake)
	n.tiering.poke()
}

// runLoop is the raft loop, the one owner of the core.
func (n *Node) runLoop() {
	defer n.goroutines.Done()
	ticker := time.NewTicker(n.opts.Heartbeat)
	defer ticker.Stop()
	for {
		if _, err := n.Turn(); err != nil {
			return
		}
		select {
		case <-n.stop:
			return
		case <-n.failed:
			return
		case <-ticker.C:
			if err := n.Tick(); err != nil {
				return
			}
		case <-n.wake:
			// Whoever is ready to write gets to queue it first, and one batch takes them all. When nobody is, this
			// costs nothing.
			runtime.Gosched()
		}
	}
}

// Tick tells the node that one heartbeat interval went by. What comes of it is done by the next Turn.
func (n *Node) Tick() error {
	if err := n.Err(); err != nil {
		return err
	}
	if n.restoring.Load() {
		return nil
	}
	n.ticks++
	if err := n.core.Tick(); err != nil {
		n.fail(err)
		return err
	}
	if known := n.core.SoftState(); known.Leader != 0 {
		n.leaderAt = n.ticks
	}
	n.publishStatus()
	n.introduce()
	n.tellOutlook()
	n.tellPublished()
	n.tellSpace()
	n.updateShortages()
	if n.isStuck() {
		wake(n.snapshots.wakeFetch)
	}
	n.yield()
	n.tickChanges()
	n.tickHold()
	n.roots.due.Store(true)
	n.poke(n.upkeep)
	now := n.opts.Now().UnixNano()
	n.waiters.expire(now)
	n.expireForwards(now)
	n.expireParked(now)
	n.expireReads(now)
	n.sendAnswers()
	return nil
}
