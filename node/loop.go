package node

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// maxBatchProposals and maxBatchBytes bound what the loop hands to the core at once.
	maxBatchProposals = 1024
	maxBatchBytes     = 8 << 20
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
	n.poke(n.wake)
}

// runLoop is the raft loop, the one owner of the core.
func (n *Node) runLoop() {
	defer n.goroutines.Done()
	ticker := time.NewTicker(n.opts.Heartbeat)
	defer ticker.Stop()
	// A sole voter need not wait for its first tick to campaign.
	err := n.core.Campaign()
	if errors.Is(err, raft.ErrNotVoter) {
		err = nil
	}
	for err == nil {
		if err = n.turn(); err != nil {
			break
		}
		select {
		case <-n.stop:
			return
		case <-n.failed:
			return
		case <-ticker.C:
			err = n.core.Tick()
			n.publishStatus()
			n.expire()
		case p := <-n.proposals:
			// Whoever is ready to write gets to queue it first, and one batch takes them all. When nobody is, this
			// costs nothing.
			runtime.Gosched()
			n.take(p)
		case r := <-n.reads:
			err = n.readIndex(r)
		case <-n.wake:
		}
	}
	n.fail(err) // it says whose it is
}

// turn does what there is to do: takes progress in, proposes what waits, hands the core's work out.
func (n *Node) turn() error {
	p := &n.progress
	p.mu.Lock()
	done, wants := raft.Progress{Persisted: p.persisted, Applied: p.applied}, p.wants
	p.persisted, p.applied, p.wants = 0, 0, nil
	p.mu.Unlock()
	if done != (raft.Progress{}) {
		if err := n.core.Advance(done); err != nil {
			return err
		}
	}
	for _, key := range wants {
		delete(n.underWay, key)
	}
	if err := n.checkFlusher(); err != nil {
		return err
	}
	if err := n.compact(); err != nil {
		return err
	}
	if err := n.proposeWants(); err != nil {
		return err
	}
	if err := n.proposeParked(); err != nil {
		return err
	}
	return n.handOut()
}

// checkFlusher returns the flusher's error when no later try will do better: this replica has diverged.
func (n *Node) checkFlusher() error {
	var diverged *ledger.DivergedError
	if _, err := n.ledger.Installed(); errors.As(err, &diverged) {
		return diverged
	}
	return nil
}

// compact tells the core that the ledger has in segments what stands in the log up to its seal point, and then the
// keeper that those entries may go.
func (n *Node) compact() error {
	index, _, _ := n.ledger.SealPoint()
	if index <= n.compacted.Load() || index > n.core.Status().Applied {
		return nil
	}
	if err := n.core.Compact(index); err != nil {
		return err
	}
	n.compacted.Store(index)
	n.poke(n.upkeep)
	return nil
}

// handOut distributes the core's work.
func (n *Node) handOut() error {
	for n.core.HasReady() {
		rd, err := n.core.Ready()
		if err != nil {
			return err
		}
		if rd.SoftState != nil {
			n.publishStatus()
			n.opts.Logger.Info("raft role", "role", rd.SoftState.Role.String(), "leader", rd.SoftState.Leader, "term",
				rd.SoftState.Term)
			if rd.SoftState.Role != raft.Leader {
				// What is under way may be lost: propose it again when this node leads again.
				clear(n.underWay)
			}
		}
		if rd.HardState != nil || len(rd.Entries) > 0 {
			n.writer.push(rd)
			n.poke(n.writer.poke)
		}
		if len(rd.Committed) > 0 {
			n.applier.push(rd.Committed)
			n.poke(n.applier.poke)
		}
		for _, s := range rd.ReadStates {
			n.answerReads(s)
		}
	}
	return nil
}

// take gathers the proposals that wait, behind those that are parked. MaxQueue bounds them all.
func (n *Node) take(p *proposal) {
	for {
		n.parked = append(n.parked, p)
		select {
		case p = <-n.proposals:
		default:
			return
		}
	}
}

// unpark drops the first count of the parked proposals, which were proposed or answered.
func (n *Node) unpark(count int) {
	for _, p := range n.parked[:count] {
		n.dequeue(p)
	}
	left := copy(n.parked, n.parked[count:])
	clear(n.parked[left:])
	n.parked = n.parked[:left]
}

// expire answers the writes whose deadline has passed.
func (n *Node) expire() {
	now := n.opts.Now().UnixNano()
	n.waiters.expire(now)
	for _, p := range n.parked {
		if p.expired(now) && p.state.CompareAndSwap(queued, withdrawn) {
			p.resolve(outcome{err: &Unavailable{Reason: Overloaded,
				Detail: "the write was not taken in in time; it had not been proposed"}})
		}
	}
}

// proposeParked proposes what was taken, in order. What there is no room for yet stays parked; meanwhile
// the queue fills and tells the callers.
func (n *Node) proposeParked() error {
	for len(n.parked) > 0 {
		wait, refusal := n.admit()
		if refusal != nil {
			n.refuseParked(refusal)
		}
		if wait || refusal != nil {
			return nil
		}
		count, size := n.nextBatch()
		if refusal := n.admitBytes(size, count); refusal != nil {
			n.refuseParked(refusal)
			return nil
		}
		batch := claim(n.parked[:count])
		err := n.propose(batch)
		var notLeader *raft.NotLeaderError
		switch {
		case errors.Is(err, raft.ErrOverloaded):
			unclaim(batch)
			return nil
		case errors.As(err, &notLeader):
			n.refuseParked(&Unavailable{Reason: NoLeader, Detail: notLeader.Error()})
			return nil
		case err != nil:
			return err
		}
		n.metrics.batchSize.Observe(float64(len(batch)))
		n.unpark(count)
	}
	return nil
}

// nextBatch says how many of the parked proposals go next, and their bytes.
func (n *Node) nextBatch() (count, size int) {
	for _, p := range n.parked[:min(len(n.parked), maxBatchProposals)] {
		if count > 0 && size+len(p.data) > maxBatchBytes {
			break
		}
		size += len(p.data)
		count++
	}
	return count, size
}

// claim takes the proposals that their callers have not withdrawn. From then on a caller that gives up cannot know.
func claim(parked []*proposal) []*proposal {
	batch := make([]*proposal, 0, len(parked))
	for _, p := range parked {
		if p.state.CompareAndSwap(queued, taken) {
			batch = append(batch, p)
		}
	}
	return batch
}

// unclaim gives back what the core had no room for.
func unclaim(batch []*proposal) {
	for _, p := range batch {
		p.state.Store(queued)
	}
}

// propose hands a batch to the core and registers its waiters, before anything of it can be applied.
func (n *Node) propose(batch []*proposal) error {
	if len(batch) == 0 {
		return nil
	}
	now := max(0, n.opts.Now().UnixMicro()) // no replica applies a time before the epoch
	commands := make([][]byte, len(batch))
	size := 0
	for i, p := range batch {
		ledger.StampTime(p.data, now)
		commands[i] = p.data
		size += len(p.data) + logOverheadBytes
	}
	first, err := n.core.Propose(commands)
	if err != nil {
		return err
	}
	n.unpersist.Add(int64(size))
	n.waiters.add(first, batch)
	return nil
}

func (n *Node) refuseParked(refusal *Unavailable) {
	for _, p := range n.parked {
		p.resolve(outcome{err: refusal})
	}
	n.unpark(len(n.parked))
}

// admit says whether writes must wait for the flusher, or why none can be taken in at all.
func (n *Node) admit() (wait bool, refusal *Unavailable) {
	full, cause := n.ledger.Backlog()
	switch {
	case full && vfs.IsNoSpace(cause):
		return false, &Unavailable{Reason: DiskFull,
			Detail: "the disk is full: segments cannot be written; free space and retry"}
	case full && cause != nil:
		return false, &Unavailable{Reason: Overloaded, Detail: "segments cannot be written: " + cause.Error()}
	}
	return full, nil
}

// proposeWants proposes what the ledger wants and is not under way.
func (n *Node) proposeWants() error {
	if st := n.status.Load(); st.Role != raft.Leader {
		return nil
	}
	for _, w := range n.ledger.Wanted(n.opts.Now()) {
		if _, ok := n.underWay[w.Key]; ok {
			continue
		}
		p := &proposal{data: w.Data, want: &w.Key}
		err := n.propose([]*proposal{p})
		if errors.Is(err, raft.ErrOverloaded) || errors.Is(err, raft.ErrNotLeader) {
			return nil
		}
		if err != nil {
			return err
		}
		n.underWay[w.Key] = nil
	}
	return nil
}
