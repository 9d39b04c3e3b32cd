package node

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/scribe-ledger/scribe/raft"
)

// maxTierAsk bounds how long a leader works at a round for another node.
const maxTierAsk = time.Hour

// tierAsk asks the leader for a round of tiering. Encoding:
//
//	kind u8 = 10 · life u64 and number u64 of the asking · how long it waits u32, in milliseconds
type tierAsk struct {
	life, number uint64
	wait         time.Duration
}

func (a *tierAsk) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(requestTier)}, a.life)
	b = binary.BigEndian.AppendUint64(b, a.number)
	return binary.BigEndian.AppendUint32(b, uint32(min(max(a.wait.Milliseconds(), 1), math.MaxUint32)))
}

func parseTierAsk(b []byte) (a tierAsk, err error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	a = tierAsk{life: r.u64(), number: r.u64(), wait: time.Duration(r.u32()) * time.Millisecond}
	r.bad = r.bad || kind != requestTier || a.wait == 0
	return a, r.end(requestTier)
}

// tierAnswer is what became of it. Encoding:
//
//	kind u8 = 11 · life u64 and number u64 of the asking · index that the leader has applied u64
//	· size of the published tree u64 · what kept it from doing all of it as text
type tierAnswer struct {
	life, number       uint64
	applied, published uint64
	problem            string
}

func (a *tierAnswer) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(requestTiered)}, a.life)
	b = binary.BigEndian.AppendUint64(b, a.number)
	b = binary.BigEndian.AppendUint64(b, a.applied)
	b = binary.BigEndian.AppendUint64(b, a.published)
	return appendText(b, a.problem, maxProblemBytes)
}

func parseTierAnswer(b []byte) (a tierAnswer, err error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	a = tierAnswer{life: r.u64(), number: r.u64(), applied: r.u64(), published: r.u64(), problem: r.text(maxProblemBytes)}
	r.bad = r.bad || kind != requestTiered
	return a, r.end(requestTiered)
}

// askRound asks the leader for a round.
func (t *tiering) askRound(r *tierRound, leader uint64, now time.Time) {
	wait := maxTierAsk
	if !r.deadline.IsZero() {
		wait = min(wait, r.deadline.Sub(now))
	}
	ask := tierAsk{life: t.n.forwards.life, number: r.number, wait: wait}
	if t.n.net().SendRequest(leader, ask.encode()) {
		r.askAt = now.Add(t.askAgain())
	}
}

// askAgain is how long an answer is waited for.
func (t *tiering) askAgain() time.Duration {
	return time.Duration(2*t.n.opts.ElectionTicks) * t.n.opts.Heartbeat
}

// answerRound tells the node that has asked for a round what became of it.
func (t *tiering) answerRound(r *tierRound) {
	a := tierAnswer{life: r.life, number: r.number, applied: t.n.applier.applied.Load(),
		published: t.archive.published.size, problem: r.problem}
	t.n.net().SendRequest(r.from, a.encode())
}

// takeTier takes in a round that another node asks for. For the raft loop.
func (n *Node) takeTier(from uint64, payload []byte) error {
	ask, err := parseTierAsk(payload)
	if err != nil {
		return err
	}
	problem := ""
	t := n.tiering
	switch {
	case n.core.SoftState().Role != raft.Leader:
		problem = notLeading
	case t == nil:
		problem = "the leader has no object store configured"
	default:
		problem = t.takeAsk(from, ask)
	}
	if problem != "" {
		a := tierAnswer{life: ask.life, number: ask.number, applied: n.applier.applied.Load(), problem: problem}
		n.net().SendRequest(from, a.encode())
	}
	return nil
}

// takeAsk begins a round for another node, unless it is under way; one that has ended is answered again.
func (t *tiering) takeAsk(from uint64, ask tierAsk) (problem string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rounds {
		if r.from == from && r.life == ask.life && r.number == ask.number {
			if r.stage == roundEnded {
				t.answerRound(r)
			}
			return ""
		}
	}
	if len(t.rounds) >= maxTierRounds {
		return "too many rounds of tiering are under way"
	}
	r := t.newRound(false)
	r.from, r.life, r.number = from, ask.life, ask.number
	r.deadline = t.n.opts.Now().Add(min(ask.wait, maxTierAsk))
	t.rounds = append(t.rounds, r)
	t.poke()
	return ""
}

// takeTiered learns what became of a round at the leader. For the raft loop.
func (n *Node) takeTiered(_ uint64, payload []byte) error {
	a, err := parseTierAnswer(payload)
	if err != nil || n.tiering == nil || a.life != n.forwards.life {
		return err
	}
	t := n.tiering
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.archive.published.size < a.published {
		t.archive.published = published{size: a.published, at: n.opts.Now()}
	}
	for _, r := range t.rounds {
		if r.from != 0 || r.number != a.number || r.stage != roundSeek {
			continue
		}
		if a.problem == notLeading { // the next one is asked
			r.askAt = n.opts.Now().Add(n.opts.Heartbeat)
			break
		}
		r.stage, r.applied, r.problem = roundFollow, a.applied, a.problem
	}
	t.poke()
	return nil
}

// tellPublished tells the other members what is published, about once in an election timeout. Nothing is decided by it.
//
//	kind u8 = 12 · size of the published tree u64 · when it was published u64, in Unix microseconds
func (n *Node) tellPublished() {
	st := n.status.Load()
	if n.tiering == nil || st.Role != raft.Leader || n.ticks%uint64(n.opts.ElectionTicks) != 0 {
		return
	}
	now := n.tiering.shown.Load()
	if now == nil || now.term != st.Term || now.size == 0 {
		return
	}
	for _, p := range st.Peers {
		n.net().SendRequest(p.ID, encodePublished(now.size, now.at))
	}
}

func encodePublished(size uint64, at time.Time) []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(requestPublished)}, size)
	return binary.BigEndian.AppendUint64(b, uint64(max(0, at.UnixMicro())))
}

func parsePublished(b []byte) (size uint64, at time.Time, err error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	size = r.u64()
	micros := r.u64()
	r.bad = r.bad || kind != requestPublished || micros > math.MaxInt64
	return size, time.UnixMicro(int64(micros)), r.end(requestPublished)
}

// takePublished keeps what the leader tells.
func (n *Node) takePublished(from uint64, payload []byte) error {
	size, at, err := parsePublished(payload)
	if known := n.core.SoftState(); err != nil || n.tiering == nil || known.Leader != from || known.Role == raft.Leader {
		return err
	}
	n.tiering.mu.Lock()
	defer n.tiering.mu.Unlock()
	n.tiering.archive.published = published{size: size, at: at}
	return nil
}
