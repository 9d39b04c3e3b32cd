package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
)

// A segment that has an object can come from the object store as well as from a member. It comes from a member while one
// has it, other than the one that offers the snapshot, who is the leader and has the writes to do; then from the store;
// and from the leader when the store does not give it. What this node would evict again at once does not come at all
// (ledger.StageOptions.LocalBytes). A repair asks every member, whoever leads, before the store.

const (
	// storePieceBytes is what is asked of the store at once, and storeTimeout how long that may take: meanwhile the
	// fetcher does nothing else.
	storePieceBytes = 4 << 20
	storeTimeout    = 10 * time.Second
	// damagedObjectPause is how long the store is left alone after it gave something that is no segment.
	damagedObjectPause = time.Minute
)

// turn says who is to give the next piece of a segment.
type turn uint8

const (
	membersTurn turn = iota
	storesTurn
	nobodysTurn // for now
)

// whoseTurn decides that for a segment that no member is giving.
func (s *snapshots) whoseTurn(c *segmentCopy, now time.Time) turn {
	if c.noObject || !s.staging.HasObject(c.part) {
		return membersTurn
	}
	if !c.storing {
		suits := func(o *giver) bool {
			return (s.now.repair || o.id != s.now.from) && !slices.Contains(c.without, o.id)
		}
		if c.from = s.free(now, suits); c.from != nil {
			return membersTurn
		}
		if slices.ContainsFunc(s.givers, func(o *giver) bool { return suits(o) && !now.Before(o.notBefore) }) {
			return nobodysTurn // it is busy, and has it for all we know
		}
	}
	switch {
	case now.Before(s.storeAfter) && len(c.without) < len(s.givers):
		return membersTurn // the leader's
	case now.Before(s.storeAfter) || !s.bucket.has(now):
		return nobodysTurn
	}
	return storesTurn
}

// fetchObject fetches the next piece of a segment's object.
func (s *snapshots) fetchObject(c *segmentCopy, now time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	n, done, err := s.staging.FetchObject(ctx, c.part, storePieceBytes)
	s.bucket.take(int64(n))
	s.fetched += n
	s.metrics.storeBytes.Add(float64(n))
	var cold *ledger.ColdError
	switch {
	case err == nil && !done:
		c.storing = true
	case err == nil:
		s.segments = slices.DeleteFunc(s.segments, func(o *segmentCopy) bool { return o == c })
		s.metrics.storeSegments.Inc()
		s.cameFrom(c, fromStore)
		s.log.Info("segment fetched from the object store", "segment", c.part.ID(), "bytes", n)
	case !errors.As(err, &cold):
		return err
	default:
		c.storing, c.noObject = false, isCorrupt(err)
		pause := fetchPause
		if c.noObject {
			pause = damagedObjectPause
		}
		s.storeAfter = now.Add(pause)
		s.log.Warn("a segment cannot be had from the object store now", "segment", c.part.ID(), "error", err,
			"left_alone_for", pause)
	}
	return nil
}

// What findings and logs say of where a good copy came from. Behind fromMember stand ids.
const (
	fromStore  = "object store"
	fromLocal  = "local file"
	fromMember = "member "
)

// cameFrom notes where a segment came from.
func (s *snapshots) cameFrom(c *segmentCopy, from string) {
	if s.origins != nil {
		s.origins[c.part.ID()] = from
	}
}

// giveUp ends the search for a file that a damaged object could be made of: no member has one of its length. The state of
// this node is whole, so the node goes on.
func (s *snapshots) giveUp(c *segmentCopy) {
	id := c.part.ID()
	s.log.Error("the object of a segment is damaged, and no member has a file of its length", "segment", id)
	s.settleDoubt(map[string]bool{id: true})
	s.drop() // the next step begins with what is left
	s.forlorn(id)
}

// keepsLocal says what of a snapshot this node would keep in files, by its own policy (planEvictions): so many bytes, and
// whatever is pinned. 0 is all. While the archive is another cluster's, all of it stays.
func (t *tiering) keepsLocal() (localBytes uint64, keep func(*manifest.Segment) bool) {
	if t == nil {
		return 0, nil
	}
	return uint64(max(0, t.opts.MaxLocalBytes)), func(g *manifest.Segment) bool {
		return t.fenced.Load() || t.pinned(&ledger.Placed{Segment: *g})
	}
}
