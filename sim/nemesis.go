package sim

import (
	"time"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// beginNemesis schedules the first strike of every class that is on.
func (w *World) beginNemesis() {
	for c := Partition; c < struckByNemesis; c++ {
		w.schedule(c)
	}
	w.admin.begin(w)
}

// schedule schedules the next strike of a class.
func (w *World) schedule(c Class) {
	if rate := w.plan.Rate[c]; rate > 0 {
		w.at(time.Second+w.about(time.Duration(float64(time.Second)/rate)), evNemesis, nil, int32(c))
	}
}

// strike lets a fault of a class strike.
func (w *World) strike(c Class) {
	if !w.faults {
		return
	}
	w.schedule(c)
	r := w.victim()
	if leader := w.leader(); leader != nil && w.rand.IntN(3) == 0 {
		r = leader
	}
	if r == nil {
		return
	}
	switch c {
	case Partition:
		w.partition(r)
	case SlowLink:
		w.slowLink(r)
	case Pause:
		w.fault(Pause)
		r.pausedUntil = w.now + w.about(pickMillis(w.rand, 100, 1000, 4000))
		w.tell("node %d pauses until %v", r.id, r.pausedUntil)
	case Crash:
		keep := pick(w.rand, vfs.KeepNone, vfs.KeepRandom, vfs.KeepRandom, vfs.KeepAll)
		if w.rand.IntN(2) == 0 { // in the middle of a step; counted when it is met
			r.disk.fail = fault{kind: cutPower, after: w.rand.IntN(12), keep: keep}
			return
		}
		w.fault(Crash)
		w.tell("node %d loses power, keep %d", r.id, keep)
		r.crash(keep)
		w.at(w.downtime(), evStart, r, 0)
		if w.rand.IntN(8) == 0 { // the others too: what was acknowledged is on their disks alone
			for _, x := range w.nodes {
				if x.node != nil {
					w.fault(Crash)
					x.crash(keep)
					w.at(w.downtime(), evStart, x, 0)
				}
			}
		}
	case Restart:
		w.fault(Restart)
		w.tell("node %d restarts", r.id)
		r.end()
		w.at(w.downtime(), evStart, r, 0)
	case DiskError:
		r.disk.fail = fault{kind: pick(w.rand, failSync, failCall), after: w.rand.IntN(6)} // counted when it is met
	case FullDisk:
		w.fault(FullDisk)
		w.tell("the disk of node %d is full", r.id)
		r.disk.fill()
		w.later(w.about(2*time.Second), func() { r.disk.empty() })
	case Rot:
		w.rotSomewhere(r)
	case Wipe:
		w.admin.wipe(r)
	case ClockJump:
		w.fault(ClockJump)
		r.offset += w.upTo(4*time.Second) - 2*time.Second
	case Members:
		w.admin.change()
	case Transfer:
		w.admin.transfer()
	default:
		w.bucket.strike(c, r)
	}
}

// downtime is how long a machine stays down.
func (w *World) downtime() time.Duration {
	return w.about(pickMillis(w.rand, 20, 200, 1000, 4000))
}

// victim picks a machine that runs.
func (w *World) victim() *replica {
	n := 0
	for _, r := range w.nodes {
		if r.node != nil {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	k := w.rand.IntN(n)
	for _, r := range w.nodes {
		if r.node != nil {
			if k == 0 {
				return r
			}
			k--
		}
	}
	return nil
}

// leader returns a machine whose node takes itself for the leader.
func (w *World) leader() *replica {
	for _, r := range w.nodes {
		if r.node != nil {
			if soft, _, _ := r.node.Glance(); soft.Role == raft.Leader {
				return r
			}
		}
	}
	return nil
}

// tell traces what the nemesis does.
func (w *World) tell(format string, args ...any) {
	if w.tracing() {
		w.trace("nemesis: "+format, args...)
	}
}

// later does something after a while, whatever has become of the nodes meanwhile.
func (w *World) later(after time.Duration, do func()) {
	w.laters = append(w.laters, do)
	w.at(after, evLater, nil, int32(len(w.laters)-1))
}

// partition cuts some nodes off from the others: in both directions or in one, once or again and again.
func (w *World) partition(r *replica) {
	var side [maxReplicas]bool
	switch w.rand.IntN(3) {
	case 0: // one node
		side[r.index] = true
	default: // any split
		for i := range w.nodes {
			side[i] = w.rand.IntN(2) == 0
		}
	}
	if !w.divides(side) {
		return
	}
	w.fault(Partition)
	oneWay := w.rand.IntN(3) == 0
	lasts := w.about(pickMillis(w.rand, 500, 3000, 8000))
	flaps := w.rand.IntN(3) == 0
	w.tell("partition of %v for %v, one way %t, flapping %t", side[:len(w.nodes)], lasts, oneWay, flaps)
	w.cut(side, oneWay, true)
	until := w.now + lasts
	if !flaps {
		w.later(lasts, func() { w.cut(side, oneWay, false) })
		return
	}
	var flap func(cut bool)
	flap = func(cut bool) {
		w.cut(side, oneWay, cut)
		if w.now < until && w.faults {
			w.later(w.about(300*time.Millisecond), func() { flap(!cut) })
		} else {
			w.cut(side, oneWay, false)
		}
	}
	w.later(w.about(300*time.Millisecond), func() { flap(false) })
}

// divides says whether machines in use stand on both sides.
func (w *World) divides(side [maxReplicas]bool) bool {
	var found [2]bool
	for i, r := range w.nodes {
		if r.id != 0 && side[i] {
			found[0] = true
		} else if r.id != 0 {
			found[1] = true
		}
	}
	return found[0] && found[1]
}

// cut cuts, or mends, the links from one side to the other. Partitions may overlap; the first to end mends what it cut.
func (w *World) cut(side [maxReplicas]bool, oneWay, cut bool) {
	for i := range maxReplicas {
		for j := range maxReplicas {
			if side[i] && !side[j] {
				w.links[i][j].cut = cut
				if !oneWay {
					w.links[j][i].cut = cut
				}
			}
		}
	}
}

func (w *World) slowLink(r *replica) {
	to := w.nodes[w.rand.IntN(len(w.nodes))]
	if to == r {
		return
	}
	w.fault(SlowLink)
	l := &w.links[r.index][to.index]
	l.slow = w.about(pickMillis(w.rand, 20, 100, 400))
	w.later(w.about(5*time.Second), func() { l.slow = 0 })
}

// rotSomewhere flips a bit of a segment, of which no other copy is damaged: one machine has bad disks, the others do
// not.
func (w *World) rotSomewhere(r *replica) {
	if r.observed.rebuilding {
		return // what it has read whole counts as sound when it is through
	}
	for _, x := range w.nodes {
		if x.rotten && x != r {
			return
		}
	}
	files := r.disk.segments()
	if len(files) == 0 || w.voters() < 3 || w.bucket.ailing() {
		return
	}
	name := files[w.rand.IntN(len(files))]
	if r.disk.rot(name) {
		w.fault(Rot)
		w.tell("a bit of %s of node %d flips", name, r.id)
		r.rotten = true
	}
}
