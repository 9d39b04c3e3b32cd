package node

import (
	"errors"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// maxBatchProposals and maxBatchBytes bound what the loop hands to the core at once.
	maxBatchProposals = 1024
	maxBatchBytes     = 8 << 20
)

// proposeParked proposes the parked writes, or sends them to the leader. Where no leader is known they wait.
func (n *Node) proposeParked() error {
	if len(n.parked) == 0 {
		return nil
	}
	known := n.core.SoftState()
	if known.Role == raft.Leader {
		return n.proposeAsLeader()
	}
	n.returnParked()
	if known.Leader != 0 {
		n.forwardParked(known)
	}
	return nil
}

// returnParked gives back what other nodes have sent here for this node to propose as the leader that it is no more.
func (n *Node) returnParked() {
	n.filterParked(func(p *proposal) bool {
		if p.remote == nil {
			return true
		}
		p.resolve(outcome{err: errElsewhere})
		return false
	})
}

// proposeAsLeader proposes what is parked, in order. What there is no room for yet stays; meanwhile the queue fills and
// tells the callers.
func (n *Node) proposeAsLeader() error {
	for len(n.parked) > 0 {
		wait, refusal := n.admit()
		if refusal != nil {
			n.refuseParked(refusal)
		}
		if wait || refusal != nil {
			return nil
		}
		count, size := n.nextBatch()
		if refusal := n.admitSpace(size, count); refusal != nil && n.refuseWrites(refusal) {
			continue // seals are left, which make space
		}
		batch := claim(n.parked[:count])
		err := n.propose(batch)
		switch {
		case errors.Is(err, raft.ErrOverloaded): // or leadership is being handed over
			unclaim(batch)
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
	n.proposedBytes.Add(int64(size))
	n.waiters.add(first, batch)
	return nil
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

// proposeWants proposes what the ledger wants and is not under way. Where others vote, the roots that it wants recorded
// are those that a quorum agrees on.
func (n *Node) proposeWants() error {
	if n.core.SoftState().Role != raft.Leader {
		return n.reportRoots()
	}
	var wants []ledger.Want
	if n.status.Load().Members.SoleVoter(n.opts.NodeID) {
		wants = n.ledger.Wanted(n.opts.Now())
	} else {
		agreed, err := n.agreedRoots()
		if err != nil {
			return err
		}
		wants = append(n.ledger.WantedSeals(n.opts.Now()), agreed...)
		wants = append(wants, n.ledger.WantedMerges()...)
	}
	if n.applier.term.Load() == n.core.SoftState().Term { // all that was committed before is applied
		wants = append(wants, n.ledger.Unsettled()...)
	}
	wants = append(wants, n.tieredWants()...)
	for _, w := range n.withoutHeld(wants) {
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
