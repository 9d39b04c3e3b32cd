package node

import "time"

// bulkAnswer is a frame that came, and whom it is from.
type bulkAnswer struct {
	from  uint64
	frame bulkFrame
}

// pieceRequest is one that waits for its answer.
type pieceRequest struct {
	id       uint64
	to       *giver
	segment  *segmentCopy // nil: it is for the manifest
	offset   uint64
	length   uint32
	deadline time.Time
}

// giver is a peer that parts come from.
type giver struct {
	id        uint64
	underWay  int       // requests
	notBefore time.Time // it is left alone until then
}

// forgetAnswers makes all that is under way strangers' answers.
func (s *snapshots) forgetAnswers() {
	for _, r := range s.asked {
		r.to.underWay--
	}
	s.asked = s.asked[:0]
	for _, c := range s.segments {
		c.rewind(s.offset(c))
	}
}

// renew replaces the goal by a newer one that has come meanwhile: when the old one does not come about.
func (s *snapshots) renew() {
	s.mu.Lock()
	newer := s.goal != nil
	s.mu.Unlock()
	if newer || s.now.repair {
		s.drop() // idle: the next step begins with it
		return
	}
	s.restart()
}

// ask sends a request. False: the network takes none for that peer now.
func (s *snapshots) ask(to *giver, f bulkFrame, c *segmentCopy, now time.Time) bool {
	s.nextID++
	f.id = s.nextID
	if !s.send(to.id, f.encode()) {
		to.notBefore = now.Add(fetchPause)
		return false
	}
	to.underWay++
	s.bucket.take(int64(f.length))
	s.asked = append(s.asked, &pieceRequest{id: f.id, to: to, segment: c, offset: f.offset, length: f.length,
		deadline: now.Add(fetchTimeout)})
	return true
}

// answered finds and ends the request that an answer belongs to.
func (s *snapshots) answered(from, id uint64) *pieceRequest {
	for i, r := range s.asked {
		if r.id == id && r.to.id == from {
			s.asked = append(s.asked[:i], s.asked[i+1:]...)
			r.to.underWay--
			return r
		}
	}
	return nil
}

// expire gives up requests whose answers did not come in time, and leaves their peers alone for a while.
func (s *snapshots) expire(now time.Time) (some bool) {
	for i := 0; i < len(s.asked); {
		r := s.asked[i]
		if now.Before(r.deadline) {
			i++
			continue
		}
		some = true
		s.asked = append(s.asked[:i], s.asked[i+1:]...)
		r.to.underWay--
		r.to.notBefore = now.Add(fetchPause)
		s.metrics.timeouts.Inc()
		if r.segment != nil {
			s.leave(r.segment)
		}
	}
	return some
}

// takeAnswer deals with the oldest answer that has come.
func (s *snapshots) takeAnswer() bool {
	s.mu.Lock()
	if len(s.inbox) == 0 {
		s.mu.Unlock()
		return false
	}
	a := s.inbox[0]
	s.inbox[0] = bulkAnswer{}
	s.inbox = s.inbox[1:]
	s.mu.Unlock()
	r := s.answered(a.from, a.frame.id)
	var ok bool
	var err error
	switch {
	case r == nil: // not asked for, or given up, or come twice
	case r.segment == nil:
		ok = s.takeManifest(r, a.frame)
	default:
		ok, err = s.takeChunk(r, a.frame)
	}
	if !ok && err == nil {
		s.metrics.dropped.WithLabelValues("not asked for").Inc()
	}
	if err != nil {
		s.log.Warn("fetching a snapshot failed; it is tried again", "error", err, "retry_in", fetchPause)
		s.forgetAnswers()
		s.pause = s.clock().Add(fetchPause)
	}
	return true
}

// free returns the source that has least to do, of those that suit and may be asked; nil when none may.
func (s *snapshots) free(now time.Time, suits func(*giver) bool) *giver {
	var best *giver
	for _, o := range s.givers {
		if o.underWay < fetchWindow && !now.Before(o.notBefore) && suits(o) && (best == nil || o.underWay < best.underWay) {
			best = o
		}
	}
	return best
}
