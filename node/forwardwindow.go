package node

import "slices"

const (
	// windowIDs is how far behind the newest forward of a node an older one may arrive and still be told from a repeat.
	windowIDs = 1024
	// maxLives bounds the lives of one node that are told apart, within one term of the leader; the first to come goes first.
	maxLives = 64
	// maxSenders bounds the nodes that are remembered; more members than may be at once can come and go within a term.
	maxSenders = 4096
)

// windows remembers which forwards this node has received as the leader of a term, so that one that the network delivers
// twice is not proposed twice, nor refused after it was proposed. They are of one term: in another, a forward of this one
// is dropped, and so is one of a term in which this node may have led in an earlier life.
//
// The lives of a node have no order that others could know: what one sent before it ended may come after the first
// forward of the next. So none takes the place of another.
type windows struct {
	term  uint64
	nodes map[uint64][]*window // by node, of each life one, in the order in which they were first heard
}

// window is what is remembered of one life of a sender.
type window struct {
	life uint64
	high uint64                 // highest id received
	seen [windowIDs / 64]uint64 // bit id%windowIDs of the ids in (high-windowIDs, high]
}

// lead forgets what was received in earlier terms.
func (w *windows) lead(term uint64) { *w = windows{term: term, nodes: make(map[uint64][]*window)} }

// first says whether a forward is received for the first time, as far as that can be told; if not, it is to be dropped.
func (w *windows) first(from, life, id uint64) bool {
	lives := w.nodes[from]
	if i := slices.IndexFunc(lives, func(o *window) bool { return o.life == life }); i >= 0 {
		return lives[i].mark(id)
	}
	if lives == nil && len(w.nodes) >= maxSenders {
		return false
	}
	if len(lives) == maxLives {
		lives = slices.Delete(lives, 0, 1)
	}
	o := &window{life: life}
	w.nodes[from] = append(lives, o)
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
