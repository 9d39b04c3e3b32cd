package sim

import (
	"errors"
	"math"
	"testing"
	"time"
)

// done is a finished operation on the first key.
func done(kind opKind, begin, end time.Duration, seq uint64) operation {
	return operation{kind: kind, state: opDone, keyCount: 1, begin: begin, end: end, seq: seq, found: kind >= opGet,
		effect: kind <= opDelete}
}

// TestLinear holds the check of a key's history against histories of which it is known whether they are linearizable.
func TestLinear(t *testing.T) {
	put := func(begin, end time.Duration, seq uint64) operation { return done(opPut, begin, end, seq) }
	get := func(begin, end time.Duration, seq uint64) operation { return done(opGet, begin, end, seq) }
	nothing := operation{kind: opGet, state: opDone, keyCount: 1, begin: 30, end: 40}
	unknown := put(10, 20, 5)
	unknown.state = opUncertain
	onCondition := func(o operation, c condition, expect uint64) operation {
		o.condition, o.expect = c, expect
		return o
	}
	failed := onCondition(put(30, 40, 5), ifAbsent, 0)
	failed.state, failed.effect, failed.found = opNotMet, false, true
	cases := []struct {
		name string
		ops  []operation
		ok   bool
	}{
		{"read after write", []operation{put(10, 20, 5), get(30, 40, 5)}, true},
		{"read of nothing after a write", []operation{put(10, 20, 5), nothing}, false},
		{"read of nothing beside a write", []operation{put(10, 35, 5), nothing}, true},
		{"old read after a new one", []operation{put(10, 20, 5), put(21, 90, 7), get(30, 40, 7), get(50, 60, 5)}, false},
		{"new read after an old one", []operation{put(10, 20, 5), put(21, 90, 7), get(30, 40, 5), get(50, 60, 7)}, true},
		{"seqs against time", []operation{put(10, 20, 7), put(30, 40, 5)}, false},
		{"unknown, found later", []operation{unknown, nothing, get(50, 60, 5)}, true},
		{"unknown, found and lost", []operation{unknown, get(22, 25, 5), nothing}, false},
		{"put if absent over a live version", []operation{put(10, 20, 5), onCondition(put(30, 40, 7), ifAbsent, 0)}, false},
		{"put if absent after a delete", []operation{put(10, 20, 5), done(opDelete, 21, 25, 6),
			onCondition(put(30, 40, 7), ifAbsent, 0)}, true},
		{"put on a version", []operation{put(10, 20, 5), onCondition(put(30, 40, 7), ifSeq, 5)}, true},
		{"put on a version that was replaced", []operation{put(10, 20, 5), put(21, 22, 6),
			onCondition(put(30, 40, 7), ifSeq, 5)}, false},
		{"condition that did not hold", []operation{put(10, 20, 5), failed}, true},
		{"condition that did hold", []operation{put(10, 20, 5), done(opDelete, 21, 25, 6), failed}, false},
		{"delete of nothing", []operation{done(opDelete, 10, 20, 5)}, false},
	}
	for _, c := range cases {
		w := &World{history: history{ops: c.ops, keys: []keyInfo{{name: []byte("key")}}}}
		var versions []version
		for seq := range uint64(10) {
			for i, o := range c.ops {
				if o.seq == seq && o.effect {
					versions = append(versions, version{seq: seq, gone: o.kind == opDelete})
				}
				if seq == 0 {
					w.history.keys[0].ops = append(w.history.keys[0].ops, int32(i))
				}
			}
		}
		w.checkLinear(0, versions)
		if ok := w.failed == nil; ok != c.ok {
			t.Errorf("%s: %v", c.name, w.failed)
		} else if !ok && !errors.Is(w.failed, ErrViolation) {
			t.Error(w.failed)
		}
	}
	if stateOf(math.MaxUint32, true) == stateOf(math.MaxUint32, false) {
		t.Error("a tombstone is a live version")
	}
}

// TestAgenda: events come in the order of their times, and those of one time in the order in which they were added.
func TestAgenda(t *testing.T) {
	var a agenda
	x := uint64(1)
	for range 1000 {
		x = x*6364136223846793005 + 1442695040888963407
		a.add(event{at: time.Duration(x >> 58)})
		if x>>40%3 == 0 {
			a.next()
		}
	}
	last := a.next()
	for len(a.heap) > 0 {
		e := a.next()
		if !last.before(&e) {
			t.Fatalf("%+v comes after %+v", e, last)
		}
		last = e
	}
}
