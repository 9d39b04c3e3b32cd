package node

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
)

// A read that meets damage in a segment's file answers so, and the node has the file repaired while it goes on: the
// whole file comes from another member. The state is not in doubt: only Apply, which must look into segments too, ends
// the node, to be rebuilt at the next start.

// segmentDamaged takes note of a damaged file. For any goroutine.
func (n *Node) segmentDamaged(err error) {
	var corrupt *vfs.CorruptError
	if !errors.As(err, &corrupt) || path.Base(path.Dir(corrupt.File)) != "segments" {
		return
	}
	n.opts.Logger.Error("a segment is damaged", "error", err)
	id := strings.TrimSuffix(path.Base(corrupt.File), path.Ext(corrupt.File))
	n.damagedMu.Lock()
	s := n.snapshots
	if s == nil { // a merge has met it before the node is open; the ledger tells of each file once
		n.damaged = append(n.damaged, id)
	}
	n.damagedMu.Unlock()
	if s != nil {
		s.doubtSegment(id)
	}
}

// takeSnapshots has s repair what is found damaged from now on, and what was found before.
func (n *Node) takeSnapshots(s *snapshots) {
	n.damagedMu.Lock()
	n.snapshots = s
	early := n.damaged
	n.damaged = nil
	n.damagedMu.Unlock()
	for _, id := range early {
		s.doubtSegment(id)
	}
}

// otherMembers returns who else there is, by id.
func (n *Node) otherMembers() []uint64 {
	var ids []uint64
	for _, m := range n.status.Load().Members.Members {
		if m.ID != n.opts.NodeID {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

func (s *snapshots) doubtSegment(id string) {
	s.mu.Lock()
	// A new map each time: the fetcher reads the old one without the lock.
	doubt := map[string]bool{id: true}
	for other := range s.doubt {
		doubt[other] = true
	}
	s.doubt = doubt
	s.mu.Unlock()
	wake(s.wakeFetch)
}

// beginRepair fetches what is damaged of this node's own segments.
func (s *snapshots) beginRepair() bool {
	now := s.clock()
	s.pause = now.Add(fetchPause) // before the next try, unless this one succeeds
	peers := s.peers()
	doubt := s.repairable(len(peers) > 0)
	if len(doubt) == 0 {
		return false
	}
	encoded, index, err := s.ledger.Snapshot()
	if err != nil {
		return false
	}
	staging, err := s.ledger.Stage(encoded, ledger.StageOptions{Doubt: doubt, SyncBytes: s.syncBytes()})
	if err != nil {
		s.log.Warn("damaged segments cannot be repaired now; it is tried again", "error", err, "retry_in", fetchPause)
		return false
	}
	s.take(goal{index: index, peers: peers, repair: true})
	s.manifest.index = index
	s.staging, s.phase, s.pause = staging, examining, now
	s.origins = make(map[string]string)
	s.log.Info("repairing damaged segments", "segments", len(doubt))
	s.tell("repairing damaged segments")
	return true
}

// repairable returns the segments in doubt for which there is a source: other members, or an object, which the manifest on
// disk then lists.
func (s *snapshots) repairable(members bool) map[string]bool {
	s.mu.Lock()
	doubt := s.doubt
	s.mu.Unlock()
	out := make(map[string]bool, len(doubt))
	for _, id := range slices.Sorted(maps.Keys(doubt)) {
		if err := s.ledger.ListObject(id); err == nil || members || errors.Is(err, ledger.ErrNoSegment) {
			out[id] = true // of what is no segment any more, it turns out then
		}
	}
	return out
}

// finishRepair takes the files into use.
func (s *snapshots) finishRepair() error {
	repaired, origins := s.staging.Doubted(), s.origins
	if err := s.ledger.Repair(s.staging); err != nil {
		return err
	}
	s.settleDoubt(repaired)
	s.drop()
	for _, id := range slices.Sorted(maps.Keys(repaired)) {
		s.repaired(id, origins[id])
	}
	return nil
}

// settleDoubt takes segments out of doubt.
func (s *snapshots) settleDoubt(settled map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	doubt := make(map[string]bool)
	for id := range s.doubt {
		if !settled[id] {
			doubt[id] = true
		}
	}
	s.doubt = doubt
}

// doubts says whether a segment's repair is not over. For any goroutine.
func (s *snapshots) doubts(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doubt[id]
}
