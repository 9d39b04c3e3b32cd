package node

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
)

// A follower passes its clients' writes on to the leader, as batches, each for the leader of one term and no other. The
// leader proposes what it receives for the first time, and answers for each write; it passes nothing on in its turn, so
// that nothing goes in a circle. What it certainly did not propose comes back and waits here for the next leader. When no
// answer comes the outcome is unknown: nothing is ever sent twice on a guess.

// maxForwardWait is how long a forwarded write that has no deadline waits for its answer.
const maxForwardWait = 30 * time.Second

// forwards are the batches that this node has sent and that are not answered, by id. State of the raft loop. MaxQueue
// bounds the writes in them.
type forwards struct {
	life uint64 // this life of the node; drawn at random
	last uint64 // id of the last one sent
	sent []*sent
	// deposed is a leader that has said that it leads no more: it will not again in that term.
	deposed raft.SoftState
}

// sent is one batch that was forwarded.
type sent struct {
	id    uint64
	to    raft.SoftState // leader and term it went to
	batch []*proposal    // nil at the answered ones
	left  int            // not answered
	stale int            // ticks since another leader or term was known, or since cut
	cut   bool           // a connection to or from that leader has ended: the batch or its answer may be lost
}

// forwardParked sends the parked writes to the leader, each with the time that its caller still waits.
func (n *Node) forwardParked(to raft.SoftState) {
	if to == n.forwards.deposed {
		return
	}
	for len(n.parked) > 0 {
		count, _ := n.nextBatch()
		batch := claim(n.parked[:count])
		if len(batch) > 0 && !n.forward(to, batch) {
			unclaim(batch)
			return // no room on the way there; the next turn tries again
		}
		for _, p := range n.parked[:count] {
			if p.state.Load() == withdrawn {
				n.dequeue(p)
			}
		}
		n.shiftParked(count)
	}
}

func (n *Node) forward(to raft.SoftState, batch []*proposal) bool {
	now := n.opts.Now().UnixNano()
	f := forward{term: to.Term, life: n.forwards.life, id: n.forwards.last + 1}
	for _, p := range batch {
		if p.deadline == 0 {
			p.deadline = now + int64(maxForwardWait)
		}
		left := (p.deadline - now + int64(time.Millisecond) - 1) / int64(time.Millisecond)
		f.commands = append(f.commands, forwardedCommand{uint32(min(max(left, 1), math.MaxUint32)), p.data})
	}
	if !n.net().SendRequest(to.Leader, f.encode()) {
		return false
	}
	n.forwards.last++
	n.forwards.sent = append(n.forwards.sent, &sent{id: f.id, to: to, batch: batch, left: len(batch)})
	n.metrics.forwarded.Add(float64(len(batch)))
	return true
}

// takeAnswers resolves the writes that a leader answers for.
func (n *Node) takeAnswers(from uint64, payload []byte) error {
	life, answers, err := parseAnswers(payload)
	if err != nil {
		return err
	}
	if life != n.forwards.life {
		return nil
	}
	var back []*proposal
	for i := range answers {
		a := &answers[i]
		p, to := n.forwards.take(from, a.id, a.ordinal)
		switch {
		case p == nil: // given up, or answered before
		case a.outcome.err == errElsewhere:
			back = append(back, p)
			n.forwards.deposed = to
		default:
			n.dequeue(p)
			p.resolve(a.outcome)
		}
	}
	unclaim(back)
	n.parked = append(back, n.parked...)
	n.forwards.tidy()
	return nil
}

// take returns the write that an answer is for, nil when nobody waits for it any more, and whom it was sent to.
func (f *forwards) take(from, id uint64, ordinal uint32) (*proposal, raft.SoftState) {
	i, ok := slices.BinarySearchFunc(f.sent, id, func(s *sent, id uint64) int { return cmp.Compare(s.id, id) })
	if !ok || f.sent[i].to.Leader != from || uint64(ordinal) >= uint64(len(f.sent[i].batch)) {
		return nil, raft.SoftState{}
	}
	s := f.sent[i]
	p := s.batch[ordinal]
	if p != nil {
		s.batch[ordinal] = nil
		s.left--
	}
	return p, s.to
}

// tidy drops the batches that are answered.
func (f *forwards) tidy() {
	f.sent = slices.DeleteFunc(f.sent, func(s *sent) bool { return s.left == 0 })
}

// broken marks what was sent to peers to or from whom a connection broke. The other way may still bring an answer.
func (f *forwards) broken(peers []uint64) {
	for _, s := range f.sent {
		s.cut = s.cut || slices.Contains(peers, s.to.Leader)
	}
}

// expireForwards gives up on forwarded writes whose callers wait no more, and on those that went to a leader which is
// none any more, or over a connection that broke, and that would have been answered by now.
func (n *Node) expireForwards(now int64) {
	known := n.core.SoftState()
	for _, s := range n.forwards.sent {
		replaced := n.removed.Load() || known.Leader != 0 && (s.to.Leader != known.Leader || s.to.Term != known.Term)
		if replaced || s.cut {
			s.stale++
		}
		for i, p := range s.batch {
			var why string
			switch {
			case p == nil:
				continue
			case p.expired(now):
				why = "the write was not confirmed in time"
			case s.stale > n.opts.ElectionTicks && !replaced:
				why = "the connection to the leader broke, and it has not answered"
			case s.stale > n.opts.ElectionTicks:
				why = "the leader that the write was sent to was replaced and has not answered"
			default:
				continue
			}
			s.batch[i] = nil
			s.left--
			n.dequeue(p)
			p.resolve(outcome{err: &Unavailable{Reason: OutcomeUnknown, Detail: why}})
		}
	}
	n.forwards.tidy()
}

// takeForward proposes what another node sent, if this one is the leader that it was meant for.
func (n *Node) takeForward(from uint64, payload []byte) error {
	f, err := parseForward(payload)
	if err != nil {
		return err
	}
	if f.term != n.windows.term || !n.windows.first(from, f.life, f.id) {
		n.metrics.droppedForwards.Inc()
		return nil
	}
	now := n.opts.Now().UnixNano()
	proposals, remotes := make([]proposal, len(f.commands)), make([]remote, len(f.commands))
	for i, c := range f.commands {
		p := &proposals[i]
		remotes[i] = remote{answers: &n.answers, to: from, life: f.life, id: f.id, ordinal: uint32(i)}
		p.data, p.since, p.remote = c.data, n.ticks, &remotes[i]
		if c.remaining != 0 {
			p.deadline = now + int64(c.remaining)*int64(time.Millisecond)
		}
		if err := ledger.CheckEncoded(c.data); err != nil {
			p.resolve(outcome{err: &Unavailable{Reason: NotReady, Detail: "the leader does not know the command: " + err.Error()}})
			continue
		}
		if refusal := n.count(p); refusal != nil {
			p.resolve(outcome{err: refusal})
			continue
		}
		n.parked = append(n.parked, p)
	}
	return nil
}
