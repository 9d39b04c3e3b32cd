package node

import (
	"errors"
	"fmt"
	"slices"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
)

// Turn is the step of the raft loop: it takes in what has arrived, proposes what waits and hands the core's work out.
func (n *Node) Turn() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	if worked, err = n.turn(); err != nil {
		n.fail(err)
	}
	return worked, err
}

func (n *Node) turn() (worked bool, err error) {
	if n.restoring.Load() {
		return false, nil
	}
	n.inbox.swap(&n.mail)
	worked = !n.mail.empty()
	progressed, err := n.takeProgress()
	if err != nil {
		return false, err
	}
	if err := n.takeFrames(); err != nil {
		return false, err
	}
	n.forwards.broken(n.mail.broken)
	n.park(n.mail.proposals)
	n.parkReads(n.mail.reads)
	n.takeChanges(n.mail.changes)
	if n.mail.connected {
		n.connected()
	}
	n.mail.clear()
	n.seekReady()
	if err := n.askReads(); err != nil {
		return false, err
	}
	if err := n.checkBackground(); err != nil {
		return false, err
	}
	if err := n.compact(); err != nil {
		return false, err
	}
	if err := n.restoreStaged(); err != nil {
		return false, err
	}
	if err := n.proposeWants(); err != nil {
		return false, err
	}
	if err := n.changeMembers(); err != nil {
		return false, err
	}
	if err := n.proposeParked(); err != nil {
		return false, err
	}
	handed, err := n.handOut()
	n.sendAnswers()
	return worked || progressed || handed, err
}

// takeProgress tells the core what the log writer and the apply loop have done.
func (n *Node) takeProgress() (some bool, err error) {
	p := &n.progress
	p.mu.Lock()
	done, wants := raft.Progress{Persisted: p.persisted, Applied: p.applied}, p.wants
	p.persisted, p.applied, p.wants = 0, 0, nil
	p.mu.Unlock()
	for _, key := range wants {
		delete(n.underWay, key)
	}
	if done == (raft.Progress{}) {
		return false, nil
	}
	return true, n.core.Advance(done)
}

// takeFrames gives the core what the peers sent.
func (n *Node) takeFrames() error {
	for i := range n.mail.frames {
		f := &n.mail.frames[i]
		if f.message.Kind == 0 {
			if err := n.takeRequest(f.from, f.request); err != nil {
				n.metrics.badRequests.Inc()
				n.opts.Logger.Warn("a request of a peer makes no sense and was dropped", "from", f.from, "error", err)
			}
			continue
		}
		err := n.core.Step(f.message)
		switch {
		case errors.Is(err, raft.ErrRefused), errors.Is(err, raft.ErrUnsupported):
			n.metrics.refusedMessages.Inc()
		case err != nil:
			return err
		}
	}
	return nil
}

// checkBackground returns the flusher's error, or the compactor's, when no later try will do better: this replica has
// diverged.
func (n *Node) checkBackground() error {
	if _, err := n.ledger.Installed(); isDiverged(err) {
		return err
	}
	if err := n.ledger.CompactError(); isDiverged(err) {
		return err
	}
	return nil
}

func isDiverged(err error) bool {
	if err == nil {
		return false // asked every turn
	}
	var diverged *ledger.DivergedError
	return errors.As(err, &diverged)
}

// compact tells the core that the ledger has in segments what stands in the log up to its seal point, and then the
// keeper that those entries may go.
func (n *Node) compact() error {
	index, term, encoded := n.ledger.SealPoint()
	if index <= n.compacted.Load() || index > n.core.Status().Applied {
		return nil
	}
	members, err := raft.ParseMembership(encoded)
	if err != nil {
		return err
	}
	if err := n.core.Compact(raft.Snapshot{Index: index, Term: term, Members: members}); err != nil {
		return err
	}
	n.compacted.Store(index)
	n.poke(n.upkeep)
	return nil
}

// handOut distributes the core's work.
func (n *Node) handOut() (some bool, err error) {
	for n.core.HasReady() {
		some = true
		rd, err := n.core.Ready()
		if err != nil {
			return some, err
		}
		if rd.SoftState != nil {
			n.roleChanged(*rd.SoftState)
		}
		if slices.ContainsFunc(rd.Entries, isMembers) {
			n.publishStatus()
		}
		n.handSnapshot(&rd)
		for _, m := range rd.Messages {
			n.net().Send(m)
		}
		if rd.HardState != nil || len(rd.Entries) > 0 || len(rd.AfterSync) > 0 || rd.Install != nil {
			n.unpersist.Add(clientBytes(rd.Entries))
			n.writer.push(rd)
			n.poke(n.writer.poke)
		}
		if rd.Install != nil || len(rd.Committed) > 0 {
			n.applier.push(batch{rd.Install, rd.Committed})
			n.poke(n.applier.poke)
		}
		for _, s := range rd.ReadStates {
			n.answerReads(s)
		}
	}
	n.proposedBytes.Store(0)
	return some, nil
}

func isMembers(e raft.Entry) bool { return e.Kind == raft.EntryMembers }

// roleChanged takes note of another role, leader or term.
func (n *Node) roleChanged(now raft.SoftState) {
	n.soft = now
	if now.Leader != 0 {
		n.leaderAt = n.ticks
	}
	if now.Role != raft.Leader {
		// What is under way may be lost: propose it again when this node leads again.
		clear(n.underWay)
	} else if n.windows.term != now.Term {
		n.windows.lead(now.Term)
	}
	n.intro = introductions{next: n.ticks} // whoever leads now may not know this node
	n.roots.lead(now)
	n.shortages.lead()
	n.publishStatus()
	n.tiering.poke()
	n.introduce()
	n.opts.Logger.Info("raft role", "role", now.Role.String(), "leader", now.Leader, "term", now.Term)
}

// takeRequest acts on a request of a peer. An error says that it is malformed.
func (n *Node) takeRequest(from uint64, payload []byte) error {
	if len(payload) == 0 {
		return errRequest
	}
	switch requestKind(payload[0]) {
	case requestForward:
		return n.takeForward(from, payload)
	case requestAnswers:
		return n.takeAnswers(from, payload)
	case requestIntroduce:
		return n.takeIntroduction(from, payload)
	case requestStranger:
		return n.takeStranger(from, payload)
	case requestChange:
		return n.takeChange(from, payload)
	case requestChanged:
		return n.takeChanged(from, payload)
	case requestRoots:
		return n.takeRoots(from, payload)
	case requestOutlook:
		return n.takeOutlook(from, payload)
	case requestSpace:
		return n.takeSpace(from, payload)
	case requestTier:
		return n.takeTier(from, payload)
	case requestTiered:
		return n.takeTiered(from, payload)
	case requestPublished:
		return n.takePublished(from, payload)
	}
	return fmt.Errorf("%w: kind %d", errRequest, payload[0])
}
