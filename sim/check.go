package sim

import (
	"bytes"
	"cmp"
	"strconv"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
)

// version is an entry of a key, as the ledger has it in the end.
type version struct {
	seq  uint64
	gone bool
}

func (v version) compare(seq uint64) int { return cmp.Compare(v.seq, seq) }

// check holds the ledger of the converged cluster against what the clients did and were told.
func (w *World) check() {
	var first *replica
	for _, r := range w.nodes {
		if r.node == nil {
			continue
		}
		if first == nil || first.rotten {
			first = r // to be read as a whole
		}
		size, root := r.node.Ledger().Root()
		if s, x := first.node.Ledger().Root(); s != size || x != root {
			w.violated("nodes %d and %d have %d and %d entries, roots %v and %v", first.id, r.id, s, size, x, root)
		}
	}
	versions := w.checkEntries(first)
	if w.failed == nil {
		w.checkAttempts()
	}
	for i := range w.history.keys {
		if w.failed == nil {
			w.checkKey(int32(i), versions[i])
		}
	}
	if w.bucket != nil && w.failed == nil {
		w.bucket.check(first, versions)
	}
	w.stats.Segments += uint64(len(first.node.Ledger().Manifest().Segments))
}

// checkEntries reads the whole ledger: seqs are dense, every entry is one that a client asked for, and an attempt is
// there as a whole. It returns the versions of each key.
func (w *World) checkEntries(r *replica) [][]version {
	h := &w.history
	versions := make([][]version, len(h.keys))
	keys := make(map[string]int32, len(h.keys))
	for i := range h.keys {
		keys[string(h.keys[i].name)] = int32(i)
	}
	it, err := r.node.Ledger().Entries(0, false)
	if err != nil {
		w.violated("node %d cannot read its ledger: %w", r.id, err)
		return versions
	}
	defer it.Close()
	seq, recorded := uint64(0), uint64(0)
	for ; it.Next(); seq++ {
		e := it.Entry()
		if e.Op == tlog.OpSegment {
			w.checkSegment(e, &recorded)
		}
		if e.Seq != seq {
			w.violated("entry %d stands where %d should", e.Seq, seq)
			return versions
		}
		if k, ok := keys[string(e.Key)]; ok && e.Op != tlog.OpSegment {
			w.checkEntry(e, k)
			versions[k] = append(versions[k], version{seq: e.Seq, gone: e.Op == tlog.OpDelete})
		}
	}
	if it.Err() != nil {
		w.violated("node %d cannot read entry %d: %w", r.id, seq, it.Err())
	}
	if size, _ := r.node.Ledger().Root(); size != seq {
		w.violated("node %d has %d entries and gives %d", r.id, size, seq)
	}
	return versions
}

// checkSegment checks a record of a segment: it is of those of memtables, each behind the one before, or it is of a merge,
// which begins before that.
func (w *World) checkSegment(e *ledger.Entry, recorded *uint64) {
	d, err := tlog.ParseDescriptor(e.Value)
	switch {
	case err != nil || string(e.Key) != d.ID():
		w.violated("entry %d records segment %q as %x", e.Seq, e.Key, e.Value)
	case d.FirstSeq == *recorded:
		*recorded = d.LastSeq + 1
	case d.LastSeq < *recorded:
		w.stats.Merges++
	default:
		w.violated("entry %d records segment %s behind seq %d", e.Seq, e.Key, *recorded)
	}
}

// checkEntry checks one entry of a client against the attempt that it names.
func (w *World) checkEntry(e *ledger.Entry, key int32) {
	h := &w.history
	n, err := strconv.Atoi(e.Principal)
	if err != nil || n < 0 || n >= len(h.attempts) {
		w.violated("entry %d names attempt %q, which nobody made", e.Seq, e.Principal)
		return
	}
	a := h.attempts[n]
	o := &h.ops[a.op]
	if a.applied == 0 {
		a.seq = e.Seq
	}
	i := a.applied
	a.applied++
	if i >= int(o.keyCount) || e.Seq != a.seq+uint64(i) || o.keys[i] != key {
		w.violated("entry %d, %s, is number %d of attempt %d, which began at %d and has %d", e.Seq, e.Key, i, n, a.seq,
			o.keyCount)
		return
	}
	if (e.Op == tlog.OpDelete) != (o.kind == opDelete) || e.Op == tlog.OpPut && !h.holds(e, a.op, i) {
		w.violated("entry %d, %s, is not what attempt %d asked for", e.Seq, e.Key, n)
	}
}

// holds says whether a value is what an operation wrote.
func (h *history) holds(e *ledger.Entry, op int32, key int) bool {
	h.scratch = h.value(h.scratch, op, key)
	return bytes.Equal(e.Value, h.scratch)
}

// checkRead checks a value read against the operation that it names.
func (h *history) checkRead(w *World, o *operation, e *ledger.Entry) {
	n, err := strconv.Atoi(e.Principal)
	if err != nil || n < 0 || n >= len(h.attempts) {
		w.violated("a read of %s gives entry %d of attempt %q, which nobody made", e.Key, e.Seq, e.Principal)
		return
	}
	from := h.attempts[n].op
	for i := range h.ops[from].keyCount {
		if h.ops[from].keys[i] == o.keys[0] {
			if !h.holds(e, from, int(i)) {
				w.violated("a read of %s gives entry %d with a value that attempt %d did not write", e.Key, e.Seq, n)
			}
			return
		}
	}
	w.violated("a read of %s gives entry %d of attempt %d, which did not write it", e.Key, e.Seq, n)
}

// checkAttempts: nothing that was acknowledged is lost or elsewhere, nothing that was refused is there, and no
// operation has taken effect twice.
func (w *World) checkAttempts() {
	h := &w.history
	effects := make([]int, len(h.ops))
	for _, a := range h.attempts {
		o := &h.ops[a.op]
		if a.applied == 0 {
			continue
		}
		if a.applied != int(o.keyCount) {
			w.violated("of attempt %d, a batch of %d, %d entries are there", a.number, o.keyCount, a.applied)
		}
		if a.state == attemptRefused {
			w.violated("attempt %d was refused as not applied, and is entry %d", a.number, a.seq)
		}
		if effects[a.op]++; effects[a.op] > 1 {
			w.violated("operation %d, idempotent %t, has taken effect twice, again by attempt %d in entry %d", a.op, o.idem,
				a.number, a.seq)
		}
		switch {
		case o.state == opDone && o.seq != a.seq:
			w.violated("operation %d was acknowledged as entry %d, and attempt %d stands at %d", a.op, o.seq, a.number, a.seq)
		case o.state == opDone, o.state == opUncertain:
		case o.uncertain:
			o.state = opUncertain // an earlier attempt has arrived late
		default:
			w.violated("operation %d was given up as not done, and attempt %d is entry %d", a.op, a.number, a.seq)
		}
		if o.state == opUncertain {
			o.seq = a.seq
		}
	}
	for i := range h.ops {
		o := &h.ops[i]
		if o.state == opDone && o.kind <= opDelete && effects[i] == 0 {
			w.violated("operation %d was acknowledged as entry %d, which is lost", i, o.seq)
		}
		o.effect = effects[i] > 0
	}
}

// checkKey checks what is known of a key: each read gave the newest version that its node can have had, all nodes give
// the newest one now, and the history is linearizable.
func (w *World) checkKey(k int32, versions []version) {
	key := &w.history.keys[k]
	for _, op := range key.ops {
		o := &w.history.ops[op]
		if o.kind < opGet || o.state != opDone {
			continue
		}
		i := len(versions)
		for i > 0 && versions[i-1].seq >= o.view {
			i--
		}
		switch {
		case i == 0 && !o.found && !o.gone:
		case i > 0 && versions[i-1].seq == o.seq && versions[i-1].gone == o.gone && o.found != o.gone:
		default:
			w.violated("a %s of %s from %d entries gave entry %d, found %t, deleted %t, which is not what they hold", o.kind,
				key.name, o.view, o.seq, o.found, o.gone)
			return
		}
	}
	for _, r := range w.nodes {
		if r.node == nil {
			continue
		}
		e, err := r.node.Ledger().Get(key.name, ledger.Selector{})
		if !agrees(versions, e, err) && !(r.rotten && err != nil) {
			w.violated("node %d gives %+v, %v for %s in the end", r.id, e, err, key.name)
		}
	}
	w.checkLinear(k, versions)
}
