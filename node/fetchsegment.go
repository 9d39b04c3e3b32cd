package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
)

// segmentCopy is a segment's file that is coming from a peer, piece by piece. One peer at a time gives it; another goes
// on where that one left off.
type segmentCopy struct {
	part     ledger.SegmentPart
	from     *giver
	next     uint64            // first byte that was not asked for
	early    map[uint64][]byte // pieces that came before the one in front of them; at most a window
	givers   []uint64          // who gave some of it
	without  []uint64          // who does not have it, or gave something else
	refusals int               // how many of these do not have it
	attempts int               // how often it came damaged
	storing  bool              // its object is coming
	noObject bool              // its object turned out damaged
}

// rewind asks again for what has not come.
func (c *segmentCopy) rewind(offset uint64) { c.from, c.next, c.early = nil, offset, nil }

func (s *snapshots) offset(c *segmentCopy) uint64 {
	if s.staging == nil {
		return 0
	}
	return s.staging.Offset(c.part)
}

// leave takes a segment away from its source: what is under way of it is not waited for.
func (s *snapshots) leave(c *segmentCopy) {
	for i := 0; i < len(s.asked); {
		if r := s.asked[i]; r.segment == c {
			r.to.underWay--
			s.asked = slices.Delete(s.asked, i, i+1)
			continue
		}
		i++
	}
	c.rewind(s.offset(c))
}

// copy asks for what the windows allow, and finishes what has come whole.
func (s *snapshots) copy(now time.Time) (some bool, err error) {
	if len(s.segments) == 0 {
		return true, s.finish()
	}
	for _, c := range s.segments[:min(fetchSegments, len(s.segments))] {
		if s.offset(c) == c.part.Bytes {
			return true, s.verifySegment(c)
		}
		asked, err := s.askChunks(c, now)
		if err != nil {
			return some, err
		}
		some = some || asked
		if s.phase != copying || asked && c.from == nil { // it may be none of the segments any more
			return true, nil
		}
	}
	return some, nil
}

// askChunks asks for the next pieces of a segment.
func (s *snapshots) askChunks(c *segmentCopy, now time.Time) (some bool, err error) {
	if c.from == nil {
		switch s.whoseTurn(c, now) {
		case storesTurn:
			return true, s.fetchObject(c, now)
		case nobodysTurn:
			return false, nil
		}
		if c.from == nil && len(c.without) >= len(s.givers) {
			s.nobodyHas(c, now)
			return true, nil
		}
		if c.from == nil {
			c.from = s.free(now, func(o *giver) bool { return !slices.Contains(c.without, o.id) })
		}
		if c.from == nil {
			return s.renewWithout(c, now), nil
		}
	}
	for c.next < c.part.Bytes && c.from.underWay < fetchWindow && !now.Before(c.from.notBefore) && s.bucket.has(now) {
		length := uint32(min(uint64(s.chunkBytes), c.part.Bytes-c.next))
		if !s.ask(c.from, bulkFrame{kind: bulkChunkRequest, part: c.part, offset: c.next, length: length}, c, now) {
			s.leave(c)
			break
		}
		c.next += uint64(length)
		some = true
	}
	return some, nil
}

// nobodyHas deals with a segment that no peer has, nor the store.
func (s *snapshots) nobodyHas(c *segmentCopy, now time.Time) {
	if s.now.repair && c.refusals == len(s.givers) {
		switch {
		case s.staging.IsCold(c.part):
			s.giveUp(c)
			return
		case c.refusals > 0: // else there is nobody to rebuild this node's state from
			s.irreparable(&vfs.CorruptError{File: c.part.ID(), Reason: "the segment's file is damaged, and no other member " +
				"has one of its length"})
		}
	}
	// Nobody has this very file any more; a newer manifest may name another.
	s.log.Warn("no peer has a segment of the snapshot; it is asked for anew", "segment", c.part.ID())
	s.pause = now.Add(fetchPause)
	s.renew()
}

// renewWithout asks for a newer snapshot when some peers do not have a segment and all others do not answer: one of
// those may be gone for good, and a merge may have taken the file everywhere else. A repair begins again, with those who
// are members by now, or makes way for a snapshot that the leader offers. Those whose copies came damaged are asked once
// more instead: it may have been this node that damaged them.
func (s *snapshots) renewWithout(c *segmentCopy, now time.Time) bool {
	if len(c.without) == 0 {
		return false
	}
	for _, o := range s.givers {
		if !slices.Contains(c.without, o.id) && !now.Before(o.notBefore) {
			return false // it is busy, and may have it
		}
	}
	if c.refusals == 0 {
		c.without = nil // verifySegment counts the attempts
		return true
	}
	s.log.Warn("some peers do not have a segment of the snapshot, the others do not answer; it is asked for anew",
		"segment", c.part.ID())
	s.pause = now.Add(fetchPause)
	s.renew()
	return true
}

// takeChunk takes a piece of a segment and says whether it is the one that was asked for.
func (s *snapshots) takeChunk(r *pieceRequest, f bulkFrame) (ok bool, err error) {
	c := r.segment
	if s.phase != copying || r.to != c.from {
		return false, nil
	}
	switch {
	case f.kind == bulkRefusal:
		c.without = append(c.without, r.to.id)
		c.refusals++
		s.leave(c)
		return true, nil
	case f.kind != bulkChunk || f.offset != r.offset || len(f.data) != int(r.length):
		r.to.notBefore = s.clock().Add(fetchPause)
		s.leave(c)
		return false, nil
	}
	if !slices.Contains(c.givers, r.to.id) {
		c.givers = append(c.givers, r.to.id)
	}
	s.fetched += uint64(len(f.data))
	s.metrics.fetchedBytes.Add(float64(len(f.data)))
	if c.early == nil {
		c.early = make(map[uint64][]byte)
	}
	c.early[f.offset] = f.data
	for {
		at := s.offset(c)
		data, ok := c.early[at]
		if !ok {
			break
		}
		delete(c.early, at)
		if err := s.staging.Append(c.part, data); err != nil {
			return true, err
		}
	}
	s.tell(fmt.Sprintf("fetching the snapshot at %d: %d bytes came, %d segments are not complete", s.manifest.index,
		s.fetched, len(s.segments)))
	return true, nil
}

// verifySegment takes a segment that has come whole, or, when it is damaged, has it come again from others.
func (s *snapshots) verifySegment(c *segmentCopy) error {
	err := s.staging.Finish(c.part)
	switch {
	case err == nil:
		s.segments = slices.DeleteFunc(s.segments, func(o *segmentCopy) bool { return o == c })
		s.metrics.fetchedSegments.Inc()
		s.cameFrom(c, fromMember+strings.Trim(fmt.Sprint(c.givers), "[]"))
		s.log.Info("segment fetched", "segment", c.part.ID(), "bytes", c.part.Bytes, "from", fmt.Sprint(c.givers))
		return nil
	case !isCorrupt(err):
		s.leave(c)
		return err
	}
	s.metrics.refetches.Inc()
	s.log.Warn("a segment came damaged; it is fetched again, from another peer if there is one", "segment", c.part.ID(),
		"from", fmt.Sprint(c.givers), "error", err)
	c.attempts++
	if c.attempts == maxAttempts {
		s.pause = s.clock().Add(fetchPause)
		s.renew()
		return nil
	}
	c.without, c.givers = append(c.without, c.givers...), nil
	if len(c.without) >= len(s.givers) {
		c.without = nil
	}
	s.leave(c)
	return nil
}
