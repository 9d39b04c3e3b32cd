package node

import (
	"cmp"
	"context"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tlog"
)

// Whoever asks for a round of tiering asks any node. The leader uploads what there is and publishes; another node asks the
// leader to do that, waits until it has applied what came of it, and then both give up what they are to give up. All of it
// states an end to be reached, so asking twice does no harm, and the leader is asked again until it has answered.

// maxTierRounds bounds the rounds that somebody waits for.
const maxTierRounds = 16

// roundStage is how far a round is.
type roundStage uint8

const (
	roundSeek    roundStage = iota // a leader is looked for, or was asked
	roundUpload                    // as the leader: until nothing is without an object
	roundPublish                   // as the leader: until the archive was published, or cannot be
	roundFollow                    // as another node: until the leader's outcome is applied here
	roundEvict                     // until the files are gone
	roundEnded
)

// tierRound is one round that was asked for. Guarded by tiering.mu; once done is closed it does not change.
type tierRound struct {
	evict    bool
	deadline time.Time       // zero: none
	from     uint64          // the node that asks; 0: somebody here
	life     uint64          // of that node
	number   uint64          // of the ask
	objects  map[string]bool // that were recorded when it began

	stage     roundStage
	through   uint64 // entries in segments that were recorded when this leader took it up
	failures  uint64 // uploads that had failed by then
	published uint64 // publications that had been tried, or begun, when the stage began
	askAt     time.Time
	seenAt    time.Time // when a leader was last known
	applied   uint64    // what the leader had applied when it answered
	evictions []placement
	looks     bool // it is to be found out whose the archive is, before any of them goes
	looking   bool // which is under way

	result  TierResult
	problem string // why not all is done, in one line, as another node is told it
	err     error
	done    chan struct{}
}

// PendingTier is a round of tiering that was begun and whose outcome is asked for later.
type PendingTier struct {
	t   *tiering
	r   *tierRound
	err error // it was not begun
}

// BeginTier is Tier without the wait, for the owner of a node in manual mode. A zero deadline is none.
func (n *Node) BeginTier(evict bool, deadline time.Time) *PendingTier {
	t := n.tiering
	switch {
	case t == nil:
		return &PendingTier{err: ledger.ErrNoCold}
	case n.restoring.Load():
		return &PendingTier{err: &Unavailable{Reason: NotReady, Detail: "this node rebuilds its state"}}
	case n.Err() != nil:
		return &PendingTier{err: &Unavailable{Reason: NotReady, Detail: "this node has failed"}}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rounds) >= maxTierRounds {
		return &PendingTier{err: &Unavailable{Reason: Overloaded, Detail: "too many rounds of tiering are under way"}}
	}
	r := t.newRound(evict)
	r.deadline = deadline
	t.rounds = append(t.rounds, r)
	t.poke()
	return &PendingTier{t: t, r: r}
}

func (t *tiering) newRound(evict bool) *tierRound {
	t.asked++
	r := &tierRound{evict: evict, number: t.asked, objects: make(map[string]bool), seenAt: t.n.opts.Now(),
		done: make(chan struct{})}
	for _, o := range t.n.ledger.Objects() {
		r.objects[o.Object.Name] = true
	}
	return r
}

// Outcome says what Tier would have returned, once done.
func (p *PendingTier) Outcome() (result TierResult, err error, done bool) {
	if p.r == nil {
		return TierResult{}, p.err, true
	}
	select {
	case <-p.r.done:
		return p.r.result, p.r.err, true
	default:
		return TierResult{}, nil, false
	}
}

// wait waits for the outcome, and gives up with the context or the node.
func (p *PendingTier) wait(ctx context.Context) (TierResult, error) {
	if p.r == nil {
		return TierResult{}, p.err
	}
	select {
	case <-p.r.done:
	case <-ctx.Done():
	case <-p.t.n.ended:
	}
	p.t.mu.Lock()
	p.t.giveUpRound(p.r)
	p.t.mu.Unlock()
	return p.r.result, p.r.err
}

// giveUpRound ends a round that has not ended, for whoever does not wait any longer. Another node is told that it was not
// done: no problem would mean that it was.
func (t *tiering) giveUpRound(r *tierRound) {
	switch {
	case r.stage == roundEnded:
		return
	case t.n.Err() != nil:
		r.err = &Unavailable{Reason: NotReady, Detail: "this node has failed"}
	case r.stage == roundSeek && r.askAt.IsZero():
		r.err = &Unavailable{Reason: NoLeader, Detail: "no leader was found in time to tier segments"}
	default:
		r.err = &Unavailable{Reason: OutcomeUnknown, Detail: "not all segments were tiered in time; what was begun goes on"}
		if p := t.problem(); p != "" {
			r.err = &TierError{Problem: p}
		}
	}
	switch {
	case r.from == 0 || r.problem != "":
	case r.stage == roundSeek:
		r.problem = notLeading
	default:
		r.problem = oneLine(r.err.Error())
	}
	t.endRound(r)
}

// endRound gives a round its outcome.
func (t *tiering) endRound(r *tierRound) {
	r.stage = roundEnded
	for _, o := range t.n.ledger.Objects() {
		if !r.objects[o.Object.Name] {
			r.result.Uploaded = append(r.result.Uploaded, tlog.SegmentID(o.FirstSeq, o.LastSeq))
			r.result.UploadedBytes += o.Object.Bytes
		}
	}
	for _, g := range t.n.ledger.Recorded() {
		if !g.Object.Exists() {
			r.result.Waiting++
		}
	}
	r.result.Published = t.archive.published.size
	if r.err == nil && r.problem != "" {
		r.err = &TierError{Problem: r.problem}
	}
	if r.from != 0 {
		t.answerRound(r)
		r.deadline = t.n.opts.Now().Add(4 * t.askAgain())
	}
	close(r.done)
}

// turnRounds moves the rounds on as far as they go by themselves.
func (t *tiering) turnRounds(now time.Time) {
	if len(t.rounds) == 0 {
		return
	}
	left := t.rounds[:0]
	for _, r := range t.rounds {
		for r.stage != roundEnded && t.turnRound(r, now) {
		}
		late := !r.deadline.IsZero() && now.After(r.deadline)
		if late {
			t.giveUpRound(r)
		}
		// One of another node stays, to be answered again should the answer be lost.
		if r.stage != roundEnded || r.from != 0 && !late {
			left = append(left, r)
		}
	}
	clear(t.rounds[len(left):])
	t.rounds = left
}

// turnRound moves a round on by one stage, if it is ready for that.
func (t *tiering) turnRound(r *tierRound, now time.Time) (moved bool) {
	switch r.stage {
	case roundSeek:
		return t.seekRound(r, now)
	case roundUpload:
		return t.uploadRound(r, now)
	case roundPublish:
		if t.leads() && t.opening.done && t.archive.tried <= r.published {
			if t.busy[jobPublish] == 0 { // also behind one that has failed
				t.archive.due, t.archive.until = true, time.Time{}
			}
			return false
		}
		if p := t.trouble[jobPublish]; r.problem == "" && t.leads() && p != "" {
			r.problem = jobPublish.String() + ": " + p
		}
		t.evictRound(r)
		return true
	case roundFollow:
		if t.n.applier.applied.Load() < r.applied {
			return false
		}
		t.evictRound(r)
		return true
	case roundEvict:
		if r.looks || len(r.evictions) > 0 || t.busy[jobEvict] > 0 {
			return false
		}
		t.endRound(r)
		return true
	}
	return false
}

// seekRound takes a round up, if this node leads, or asks the one that does.
func (t *tiering) seekRound(r *tierRound, now time.Time) (moved bool) {
	st := t.n.status.Load()
	patience := time.Duration(noLeaderTimeouts*2*t.n.opts.ElectionTicks) * t.n.opts.Heartbeat
	switch {
	case t.leads():
		r.stage, r.failures = roundUpload, t.failures
		for _, g := range t.n.ledger.Recorded() {
			r.through = g.LastSeq + 1
		}
		t.uploadsDue, t.paused = true, pause{}
		t.opening.until = time.Time{}
		for _, u := range t.uploads {
			u.until = time.Time{}
		}
		return true
	case st.Leader != 0:
		r.seenAt = now
	case now.Sub(r.seenAt) > patience:
		t.giveUpRound(r)
		return true
	}
	if st.Leader == 0 || st.Role == raft.Leader || now.Before(r.askAt) {
		return false
	}
	if r.from != 0 { // it was meant for a leader; whoever asks finds the next one
		r.problem = notLeading
		t.endRound(r)
		return true
	}
	t.askRound(r, st.Leader, now)
	return false
}

// notLeading is the problem of a node that was asked as the leader and is none.
const notLeading = "the node asked does not lead any more"

// forced is the seq below which segments are uploaded whatever their age.
func (t *tiering) forced() (through uint64) {
	for _, r := range t.rounds {
		if r.stage == roundUpload {
			through = max(through, r.through)
		}
	}
	return through
}

// uploadRound waits until the segments that the round is about have objects, or some cannot get one now.
func (t *tiering) uploadRound(r *tierRound, now time.Time) (moved bool) {
	if !t.leads() {
		r.stage, r.seenAt = roundSeek, now
		return true
	}
	if !t.opening.done {
		if t.busy[jobOpen] > 0 || t.opening.failures == 0 || !now.Before(t.opening.until) {
			return false
		}
		r.problem = t.opening.problem
		t.evictRound(r)
		return true
	}
	lacking := false
	for _, g := range t.n.ledger.Recorded() {
		lacking = lacking || !g.Object.Exists() && g.LastSeq < r.through
	}
	if lacking {
		if t.failures == r.failures { // a merge that some wait for may have ended
			t.uploadsDue = true
			return false
		}
		if t.busy[jobUpload] > 0 || t.uploadsDue && !now.Before(t.paused.until) {
			return false
		}
		r.problem = jobUpload.String() + ": " + cmp.Or(t.trouble[jobUpload], "not all segments have objects")
	}
	// One that is under way may have begun before the last object was recorded.
	r.stage, r.published = roundPublish, t.archive.tried+uint64(t.busy[jobPublish])
	return true
}

// evictRound begins to give up files, if that is wanted and can be done.
func (t *tiering) evictRound(r *tierRound) {
	r.stage = roundEvict
	if !r.evict {
		return
	}
	if !t.opening.done {
		if r.problem == "" {
			r.problem = t.opening.problem
		}
		return
	}
	r.looks = true
}
