package sim

import (
	"cmp"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
)

// registerState is the newest version of a key: its seq plus 1, twice, plus 1 when it is live; 0 for none.
type registerState uint64

func stateOf(seq uint64, live bool) registerState {
	s := registerState(seq+1) << 1
	if live {
		s |= 1
	}
	return s
}

func (s registerState) live() bool { return s&1 == 1 }

// registerOp is one operation on one key, with what it came to.
type registerOp struct {
	write     bool
	remove    bool
	condition condition
	expect    uint64
	met       bool
	after     registerState // writes that took effect: what they left
	before    registerState // and what stood there, by the order of the seqs
	saw       registerState // reads, and conditions that did not hold: what stood there
}

// register is the sequential model that the history of a key is held against.
func register() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return registerState(0) },
		Step: func(state, input, _ any) (bool, any) {
			s, o := state.(registerState), input.(*registerOp)
			if !o.write {
				return s == o.saw, s
			}
			if o.holds(s) != o.met {
				return false, s
			}
			if !o.met {
				return s == o.saw, s
			}
			return s == o.before, o.after
		},
	}
}

// holds says whether a write may take effect on a state.
func (o *registerOp) holds(s registerState) bool {
	switch {
	case o.remove && !s.live():
		return false
	case o.condition == ifAbsent:
		return !s.live()
	case o.condition == ifSeq:
		return s == stateOf(o.expect, true)
	}
	return true
}

// checkLinear lets porcupine look for an order of the operations on a key that explains every answer. What became of
// an operation without an answer is known from the ledger by now: it has taken effect at some time after its begin, or
// never.
func (w *World) checkLinear(k int32, versions []version) {
	h := &w.history
	var ops []porcupine.Operation
	for _, i := range h.keys[k].ops {
		o := &h.ops[i]
		end := int64(o.end)
		x := registerOp{write: o.kind <= opDelete, remove: o.kind == opDelete, condition: o.condition, expect: o.expect}
		switch {
		case o.kind == opStale:
			continue
		case o.kind == opGet && o.state == opDone:
			if o.found || o.gone {
				x.saw = stateOf(o.seq, o.found)
			}
		case x.write && o.effect:
			at := slices.Index(o.keys[:o.keyCount], k)
			x.met, x.after = true, stateOf(o.seq+uint64(at), o.kind != opDelete)
			if o.state != opDone {
				end = math.MaxInt64
			}
		case x.write && o.state == opNotMet:
			if !o.found {
				break
			}
			at, ok := slices.BinarySearchFunc(versions, o.seq, version.compare)
			if !ok {
				w.violated("entry %d stood against a %s of %s, and there is none", o.seq, o.kind, h.keys[k].name)
				return
			}
			x.saw = stateOf(o.seq, !versions[at].gone)
		default:
			continue // without effect, and without an answer that says anything
		}
		ops = append(ops, porcupine.Operation{ClientId: len(ops), Input: &x, Call: int64(o.begin), Return: end})
	}
	w.stats.Checked += uint64(len(ops))
	if !narrow(ops) || !porcupine.CheckOperations(register(), ops) {
		w.violated("the history of %s is not linearizable", h.keys[k].name)
	}
}

// place orders the operations on a key by the seqs alone: each write, and behind it what saw its version.
func (o *registerOp) place() uint64 {
	if o.met {
		return uint64(o.after>>1) << 1
	}
	return uint64(o.saw>>1)<<1 | 1
}

// narrow cuts the times of operations to those at which they can have happened in the order that the seqs tell: none
// before all with smaller places have begun, none after one with a larger place has ended. That takes nothing from the
// check, and all the searching from it where many operations were long without an answer. It says whether every
// operation has some time left.
func narrow(ops []porcupine.Operation) bool {
	place := func(op *porcupine.Operation) uint64 { return op.Input.(*registerOp).place() }
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(place(&a), place(&b)) })
	// One group of equal places after the other, forwards for the begins and backwards for the ends.
	for from, begun := 0, int64(math.MinInt64); from < len(ops); {
		to, last := from, begun
		for ; to < len(ops) && place(&ops[to]) == place(&ops[from]); to++ {
			ops[to].Call = max(ops[to].Call, begun)
			last = max(last, ops[to].Call)
		}
		from, begun = to, last
	}
	for to, ended := len(ops), int64(math.MaxInt64); to > 0; {
		from, first := to, ended
		for ; from > 0 && place(&ops[from-1]) == place(&ops[to-1]); from-- {
			ops[from-1].Return = min(ops[from-1].Return, ended)
			first = min(first, ops[from-1].Return)
		}
		to, ended = from, first
	}
	var last registerState
	for i := range ops {
		if ops[i].Call > ops[i].Return {
			return false
		}
		if o := ops[i].Input.(*registerOp); o.met {
			o.before, last = last, o.after
		}
	}
	return true
}
