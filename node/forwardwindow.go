package node

import "slices"

const (
	// windowIDs is how far behind the newest forward of a node an older one may arrive and still be told from a repeat.
	windowIDs = 1024
	// maxPastLives bounds the lives that a node is remembered to have ended, within one term of the leader.
	maxPastLives = 1024
	// maxSenders bounds the nodes that are remembered; more members than may be at once can come and go within a term.
	maxSenders = 4096
)

// windows remembers which forwards this node has received as the leader of a term, so that one that the network delivers
// twice is not proposed twice, nor refused after it was proposed. They are of one term: in another, a forward of this one
// is dropped, and so is one of a term in which this node may have led in an earlier life.
type windows struct {
	term  uint64
	nodes map[uint64]*window
}

// window is what is remembered of one sender.
type window struct {
	life uint64
	high uint64                 // highest id received
	seen [windowIDs / 64]uint64 // bit id%windowIDs of the ids in (high-windowIDs, high]
	past []uint64               // earlier lives, which send nothing more
}

// lead forgets what was received in earlier terms.
func (w *windows) lead(term uint64) { *w = windows{term: term, nodes: make(map[uint64]*window)} }

// first says whether a forward is received for the first time, as far as that can be told; if not, it is to be dropped.
func (w *windows) first(from, life, id uint64) bool {
	o := w.nodes[from]
	if o == nil {
		if len(w.nodes) >= maxSenders {
			return false
		}
		o = &window{life: life}
		w.nodes[from] = o
	}
	if o.life != life {
		if slices.Contains(o.past, life) {
			return false
		}
		if len(o.past) == maxPastLives {
			o.past = o.past[1:]
		}
		*o = window{life: life, past: append(o.past, o.life)}
	}
	return o.mark(id)
}

func (o *window) mark(id uint64) bool {
	switch {
	case id > o.high:
		for i := max(o.high+1, id-min(id, windowIDs-1)); i < id; i++ {
			o.clear(i)
		}
		o.high = id
	case o.high-id >= windowIDs, o.has(id):
		return false
	}
	o.seen[id%windowIDs/64] |= 1 << (id % 64)
	return true
}

func (o *window) has(id uint64) bool { return o.seen[id%windowIDs/64]&(1<<(id%64)) != 0 }

func (o *window) clear(id uint64) { o.seen[id%windowIDs/64] &^= 1 << (id % 64) }
