package sim

import "time"

// eventKind says what an event of the cluster does when its time has come.
type eventKind uint8

const (
	evTick    eventKind = iota + 1 // node: its clock ticks
	evTurn                         // node: the raft loop turns
	evPersist                      // node: the log writer writes
	evApply                        // node: the apply loop applies
	evKeep                         // node: flushing, and the keeper's work
	evFetch                        // node: the receiver of snapshots
	evServe                        // node: the sender of snapshots
	evTier                         // node: the tier daemon, and the scrubber
	evDeliver                      // node: a frame arrives; arg is its place among the frames
	evStart                        // node: the process starts
	evClient                       // a client goes on; arg is which
	evNemesis                      // a fault strikes; arg is its class
	evAdmin                        // the operator looks after the membership
	evLater                        // the nemesis ends what it began; arg is its place among World.laters
	lastEvent = evLater
)

func (k eventKind) String() string {
	return [...]string{"", "tick", "turn", "persist", "apply", "keep", "fetch", "serve", "tier", "deliver", "start", "client",
		"nemesis", "operator", "later"}[min(k, lastEvent)]
}

// event is something that will happen. Events of one time happen in the order in which they were scheduled.
type event struct {
	at   time.Duration
	seq  uint64
	arg  int32
	life uint32 // of the node it is for: a crash ends a life, and with it all of its events
	node int8   // index of the node; -1 for none
	kind eventKind
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// agenda is what will happen, the next first: a heap with four children to a node, which is shallow and holds no
// pointers.
type agenda struct {
	heap []event
	seq  uint64
}

func (a *agenda) add(e event) {
	a.seq++
	e.seq = a.seq
	h := append(a.heap, e)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = e
	a.heap = h
}

// next takes the event that comes first. The agenda is not empty.
func (a *agenda) next() event {
	h := a.heap
	first, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	a.heap = h
	i := 0
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(h)); c++ {
			if h[c].before(&h[least]) {
				least = c
			}
		}
		if !h[least].before(&last) {
			break
		}
		h[i] = h[least]
		i = least
	}
	if len(h) > 0 {
		h[i] = last
	}
	return first
}
