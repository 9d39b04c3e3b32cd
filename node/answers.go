package node

import "sync"

// remote says whom to tell what became of a forwarded write.
type remote struct {
	answers  *answers
	to, life uint64
	id       uint64
	ordinal  uint32
}

// answers gathers the outcomes of forwarded writes, so that one request carries those of a whole step. They come from the
// raft loop and the apply loop; each sends what there is at the end of its step.
type answers struct {
	mu      sync.Mutex
	waiting []addressed
}

type addressed struct {
	to, life uint64
	answers  []answer
}

func (r *remote) resolve(o outcome) {
	a := r.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.waiting {
		w := &a.waiting[i]
		if w.to == r.to && w.life == r.life && len(w.answers) < maxAnswers {
			w.answers = append(w.answers, answer{r.id, r.ordinal, o})
			return
		}
	}
	a.waiting = append(a.waiting, addressed{r.to, r.life, []answer{{r.id, r.ordinal, o}}})
}

// sendAnswers sends what has been gathered. An answer that cannot be sent is lost: its client learns that the outcome is
// unknown.
func (n *Node) sendAnswers() {
	n.answers.mu.Lock()
	waiting := n.answers.waiting
	n.answers.waiting = nil
	n.answers.mu.Unlock()
	for _, w := range waiting {
		if !n.net().SendRequest(w.to, encodeAnswers(w.life, w.answers)) {
			n.metrics.lostAnswers.Add(float64(len(w.answers)))
		}
	}
}
