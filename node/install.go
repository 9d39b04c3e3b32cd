package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// A snapshot's way through the node:
//
//	Ready.Offer → snapshots.offer → fetcher … → staged → core.Restore → Ready.Install
//	    → apply loop: installSnapshot → log writer: beginLog, then the Ready's entries → Persisted
//
// The raft loop deals with Ready.Install before Ready.Offer. The apply loop applies what it was given before the
// snapshot first; the log writer waits for the apply loop (installed), because the log may only begin behind the
// snapshot once the state in front of it is durable.

// staged returns the snapshot whose content has come whole and was verified, once: core.Restore is due. For the raft
// loop.
func (s *snapshots) staged() (raft.Snapshot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.complete == nil || s.handed {
		return raft.Snapshot{}, false
	}
	s.handed = true
	return s.completeAs, true
}

// decline lets go of what staged returned, for which the core has no use: repairs could not begin as long as it was here. For
// the raft loop.
func (s *snapshots) decline() {
	s.mu.Lock()
	s.handed = false
	s.complete.Close()
	s.complete = nil
	s.mu.Unlock()
	wake(s.wakeFetch)
}

// claim says that the core goes on from what staged returned: Ready.Install. For the raft loop.
func (s *snapshots) claim() {
	s.mu.Lock()
	s.claimed = true
	s.mu.Unlock()
}

// installed is the index of the last snapshot that this process installed.
func (s *snapshots) installed() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.installedAt
}

// installSnapshot makes the staged content the state of this node. For the apply loop.
func (n *Node) installSnapshot(snap raft.Snapshot) error {
	s := n.snapshots
	s.mu.Lock()
	staging, as := s.complete, s.completeAs
	s.mu.Unlock()
	if staging == nil || as.Index != snap.Index || as.Term != snap.Term {
		return fmt.Errorf("install snapshot at %d of term %d: its content is not here", snap.Index, snap.Term)
	}
	if err := n.ledger.Install(staging); err != nil {
		return err
	}
	s.mu.Lock()
	s.complete, s.handed, s.claimed, s.installedAt = nil, false, false, snap.Index
	s.mu.Unlock()
	s.metrics.installed.Inc()
	wake(s.wakeFetch)
	return nil
}

// applySnapshot is what the apply loop does with a snapshot.
func (n *Node) applySnapshot(snap raft.Snapshot) error {
	if err := n.installSnapshot(snap); err != nil {
		return err
	}
	n.applier.applied.Store(snap.Index)
	n.applier.term.Store(snap.Term)
	for _, p := range n.waiters.skip(snap.Index) {
		p.resolve(outcome{err: &Unavailable{Reason: OutcomeUnknown,
			Detail: "this node fell behind and took over another member's state; the write may be in it"}})
	}
	n.answer(n.applier.waiting.release(snap.Index), nil)
	n.report(0, snap.Index, nil)
	n.poke(n.writer.poke)
	return nil
}

// awaitsInstall says that the log writer has to wait for the apply loop. For the log writer.
func (n *Node) awaitsInstall() bool {
	w := &n.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) > 0 && w.queue[0].Install != nil && w.queue[0].Install.Index > n.snapshots.installed()
}

// persistInstall is what the log writer does for a Ready that brings a snapshot, before its entries.
func (n *Node) persistInstall(w *write) error {
	if w.install == nil {
		return nil
	}
	hs := n.log.HardState()
	if w.hard != nil {
		hs = *w.hard
	}
	switch err := n.beginLog(*w.install, hs, w.keepsLog); {
	case err == nil:
	case vfs.IsNoSpace(err) && n.log.Err() == nil:
		n.writer.blocked = true // as for entries
		n.setDiskFull(err)
		return ErrBlocked
	default:
		err = fmt.Errorf("the log could not be begun behind snapshot %d: %w", w.install.Index, err)
		n.fail(err)
		return err
	}
	w.install = nil // the entries may still have to wait for space
	return nil
}

// beginLog makes the log begin behind a snapshot that is installed, unless it holds the snapshot's last entry and goes
// on behind it. For the log writer, before the entries of the Ready that brought the snapshot; hs is that Ready's.
func (n *Node) beginLog(snap raft.Snapshot, hs raft.HardState, keepsLog bool) error {
	if !keepsLog {
		if err := n.log.Reset(snap.Index, snap.Term, hs); err != nil {
			return err
		}
	}
	return n.ledger.ForgetInstallation(snap.Index)
}

// handSnapshot deals with what a Ready says of snapshots. For the raft loop; the apply loop and the log writer get the
// Ready's Install beside this.
func (n *Node) handSnapshot(rd *raft.Ready) {
	if rd.Install != nil {
		n.snapshots.claim()
	}
	if o := rd.Offer; o != nil {
		g := goal{from: o.From, index: o.Snapshot.Index}
		for _, m := range o.Snapshot.Members.Members {
			if m.ID != n.opts.NodeID {
				g.peers = append(g.peers, m.ID)
			}
		}
		if !slices.Contains(g.peers, o.From) {
			g.peers = append(g.peers, o.From)
		}
		n.snapshots.aim(g)
	}
}

// restoreStaged tells the core of a snapshot whose content has come whole. For the raft loop.
func (n *Node) restoreStaged() error {
	snap, ok := n.snapshots.staged()
	if !ok {
		return nil
	}
	taken, err := n.core.Restore(snap)
	if err == nil && !taken {
		n.snapshots.decline()
		n.overtake(snap)
	}
	return err
}

// stuckPause is how long a node that cannot apply what is committed waits until it looks for another member's state: the
// object that it lacks may come back, or be made good.
const stuckPause = time.Minute

// isStuck says that it has waited so long.
func (n *Node) isStuck() bool {
	since, damage := n.ledger.ApplyStuck()
	return damage != nil && n.opts.Now().Sub(since) >= stuckPause
}

// overtake ends a node that is stuck in front of a state that it has just fetched and verified. Its log has all entries up to
// there, so the core has no use for that state, but the next start has. That somebody has it is what makes this safe:
// members that are all stuck at one entry never end for it.
func (n *Node) overtake(snap raft.Snapshot) {
	_, damage := n.ledger.ApplyStuck()
	var corrupt *vfs.CorruptError
	if !n.isStuck() || !errors.As(damage, &corrupt) || snap.Index <= n.applier.applied.Load() {
		return
	}
	n.rebuildFrom.Store(snap.Index) // another's may be as far behind as its own
	n.fail(&vfs.CorruptError{File: corrupt.File, Offset: corrupt.Offset, Reason: fmt.Sprintf("a committed write cannot be applied "+
		"without it, and another member's state is beyond that write: %s", corrupt.Reason)})
}

// openSnapshots makes the fetcher and the server. For Open, once the ledger is open.
func (n *Node) openSnapshots() {
	localBytes, keep := n.tiering.keepsLocal()
	n.takeSnapshots(newSnapshots(fetchOptions{
		ledger:      n.ledger,
		send:        func(to uint64, payload []byte) bool { return n.net().SendBulk(to, payload) },
		clock:       n.opts.Now,
		log:         n.opts.Logger,
		peers:       func() []uint64 { return n.otherMembers() },
		irreparable: func(err error) { n.fail(err) },
		repaired:    n.scrub.fileRepaired,
		forlorn:     n.scrub.forlorn,
		localBytes:  localBytes,
		keep:        keep,
		private:     n.opts.Tier != nil && n.opts.Tier.Private,
		staged:      func() { wake(n.wake) },
		stuck:       n.isStuck,
		idsFrom:     n.draw.Uint64(),
		minIndex: func() uint64 {
			if n.restoring.Load() {
				return max(n.log.FirstIndex()-1, n.rebuildFrom.Load())
			}
			return n.applier.applied.Load() + 1
		},
		chunkBytes: maxChunkBytes,
	}, n.opts.SnapshotBytesPerSecond, n.opts.Registerer))
	n.scrub.snapshots = n.snapshots
}
