package node

import (
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// askManifest asks for the next piece of the manifest: of whoever offered the snapshot, if it may be asked, else of any.
func (s *snapshots) askManifest(now time.Time) bool {
	m := &s.manifest
	if len(s.asked) > 0 {
		return false
	}
	if s.now.index < s.minIndex() { // the log came after all
		s.drop()
		return true
	}
	if s.now.beyond && s.givesWay() {
		s.drop()
		return true
	}
	if m.from == nil || now.Before(m.from.notBefore) {
		*m = manifestCopy{from: s.free(now, func(o *giver) bool { return o.id == s.now.from })}
		if m.from == nil {
			m.from = s.free(now, func(*giver) bool { return true })
		}
		if m.from == nil {
			return false
		}
	}
	return s.ask(m.from, bulkFrame{kind: bulkManifestRequest, sum: m.sum, offset: uint64(len(m.data))}, nil, now)
}

// givesWay says that a state beyond this node's is not needed any more, or that the next thing to try is a repair.
func (s *snapshots) givesWay() bool {
	s.mu.Lock()
	repairs := len(s.doubt) > 0 || s.goal != nil
	s.mu.Unlock()
	return repairs || !s.stuck()
}

// takeManifest takes a piece of the manifest and says whether it is one.
func (s *snapshots) takeManifest(r *pieceRequest, f bulkFrame) bool {
	m, now := &s.manifest, s.clock()
	if s.phase != asking || r.to != m.from {
		return false
	}
	again := func() {
		m.from.notBefore = now.Add(fetchPause)
		s.renew()
	}
	switch {
	case f.kind == bulkRefusal:
		again()
		return true
	case f.kind != bulkManifest || f.offset != r.offset || len(f.data) == 0 ||
		(m.sum != 0 && (f.sum != m.sum || f.total != m.total || f.index != m.index)):
		again()
		return false
	}
	m.index, m.sum, m.total = f.index, f.sum, f.total
	m.data = append(m.data, f.data...)
	s.metrics.fetchedBytes.Add(float64(len(f.data)))
	if uint64(len(m.data)) < m.total {
		return true
	}
	if err := s.stage(); err != nil {
		s.log.Warn("the manifest of a peer is of no use; another is asked for", "from", m.from.id, "error", err)
		again()
	}
	return true
}

// stage begins with a manifest that has come whole.
func (s *snapshots) stage() error {
	m := &s.manifest
	if sum := xxhash.Sum64(m.data); sum != m.sum {
		return fmt.Errorf("its checksum is %016x, computed %016x", m.sum, sum)
	}
	least := max(s.minIndex(), s.now.index)
	staging, err := s.ledger.Stage(m.data, ledger.StageOptions{SyncBytes: s.syncBytes(), LocalBytes: s.localBytes,
		Keep: s.keep})
	if err != nil {
		return err
	}
	index, _, members := staging.SealPoint()
	if index < least {
		err = fmt.Errorf("it is as of index %d, and less than %d does not help", index, least)
	} else {
		_, err = membersOf(members)
	}
	if err != nil {
		staging.Close()
		return err
	}
	s.staging, s.phase = staging, examining
	m.data = nil
	s.log.Info("fetching a snapshot: the manifest is here", "from", m.from.id, "index", index)
	s.tell(fmt.Sprintf("looking at which segments of the snapshot at %d are here", index))
	return nil
}

// syncBytes makes a power cut cost no more of a segment that is coming than a window: twice this.
func (s *snapshots) syncBytes() uint64 { return fetchWindow / 2 * uint64(s.chunkBytes) }

// examine looks whether the next segment is here.
func (s *snapshots) examine() error {
	before := s.staging.BytesRead()
	done, err := s.staging.Examine()
	s.bucket.take(int64((s.staging.BytesRead() - before) / readDiscount))
	if err != nil || !done {
		return err
	}
	var bytes, here uint64
	s.segments = nil
	for _, part := range s.staging.Missing() {
		c := &segmentCopy{part: part}
		c.rewind(s.offset(c))
		s.segments = append(s.segments, c)
		bytes += part.Bytes
		here += c.next
	}
	s.phase, s.fetched = copying, 0
	s.log.Info("fetching a snapshot: what is missing is known", "segments", len(s.segments), "bytes", bytes,
		"bytes_here", here)
	return nil
}

// finish makes the snapshot ready to be installed.
func (s *snapshots) finish() error {
	if s.now.repair {
		return s.finishRepair()
	}
	if err := s.staging.Prepare(); vfs.IsNoSpace(err) {
		return err
	} else if err != nil {
		s.log.Warn("the snapshot does not fit together; it is asked for anew", "error", err)
		s.manifest.from.notBefore = s.clock().Add(fetchPause)
		s.renew()
		return nil
	}
	index, term, encoded := s.staging.SealPoint()
	members, err := membersOf(encoded)
	if err != nil {
		return err // stage has parsed it
	}
	s.log.Info("fetching a snapshot: all is here and verified", "index", index, "bytes_fetched", s.fetched)
	s.phase = whole
	s.mu.Lock()
	s.complete, s.completeAs = s.staging, raft.Snapshot{Index: index, Term: term, Members: members}
	s.handed, s.claimed = false, false
	s.note = fmt.Sprintf("the snapshot at %d is here", index)
	s.mu.Unlock()
	s.staging = nil         // whoever takes it installs or closes it
	s.fetchOptions.staged() // the raft loop then asks by the method of that name
	return nil
}

// membersOf parses the members in a manifest; one of a cluster in which nothing was sealed yet has none.
func membersOf(encoded []byte) (raft.Membership, error) {
	if len(encoded) == 0 {
		return raft.Membership{}, nil
	}
	return raft.ParseMembership(encoded)
}

// settle ends a snapshot that was installed or given up.
func (s *snapshots) settle() bool {
	s.mu.Lock()
	over := s.complete == nil
	s.mu.Unlock()
	if over {
		s.drop()
	}
	return over
}
