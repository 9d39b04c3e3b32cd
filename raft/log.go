package raft

import (
	"fmt"
	"slices"
	"sort"
)

// raftLog is the log as the core sees it: what is durable, read through LogReader, and the tail held in memory. An
// entry stays in the tail until it is both durable and handed out as committed, so applying does not read the log
// back; only on a follower that applies slower than its leader sends, the tail lets go of what is durable to keep its
// bound.
//
//	start ≤ applied ≤ handed ≤ min(commit, durable),  durable ≤ written ≤ last,  commit ≤ last
//
// (after restore, applied lags behind start until the snapshot is reported as applied).
// Only entries above commit are ever replaced. The tail holds [offset, last]; offset ≤ durable+1. What lies between
// handed and offset, after a restart or because of the bound, is read back.
type raftLog struct {
	reader LogReader
	start  Position // what the newest snapshot covers; its term stays known after the entry is gone

	floor uint64 // what the reader still shows below is not read: a snapshot took its place

	tail   []Entry // tail[head:] are live, the rest is zeroed
	head   int
	offset uint64 // index of tail[head]; last+1 while nothing is live
	bytes  uint64 // cost of the live entries

	written uint64 // handed out to be made durable
	durable uint64 // durable, and not about to be replaced by a write under way
	commit  uint64
	handed  uint64 // handed out to be applied
	applied uint64

	handouts []handout // handed out and not applied, oldest first
	applying uint64    // their cost
}

// handout is one Ready.Committed that is not applied yet.
type handout struct {
	last uint64
	cost uint64
}

func cost(e Entry) uint64 { return uint64(len(e.Data)) + entryOverhead }

func costOf(entries []Entry) uint64 {
	var n uint64
	for _, e := range entries {
		n += cost(e)
	}
	return n
}

// newLog checks what was found on disk and takes it over; all of it is durable.
func newLog(reader LogReader, hs HardState, snap Snapshot) (*raftLog, error) {
	first, last := reader.FirstIndex(), reader.LastIndex()
	switch {
	case first == 0 || last > MaxIndex || first > last+1:
		return nil, invalid("the log claims entries %d to %d", first, last)
	case snap.Index > MaxIndex || snap.Term > MaxTerm || (snap.Index == 0) != (snap.Term == 0):
		return nil, invalid("snapshot at index %d, term %d", snap.Index, snap.Term)
	case first > snap.Index+1:
		return nil, invalid("the log begins at %d, and the snapshot ends at %d", first, snap.Index)
	case last < snap.Index:
		return nil, invalid("the log ends at %d, before the snapshot at %d", last, snap.Index)
	case hs.Commit > last:
		return nil, invalid("entry %d was committed, and the log ends at %d", hs.Commit, last)
	}
	l := &raftLog{
		reader:  reader,
		start:   Position{Index: snap.Index, Term: snap.Term},
		offset:  last + 1,
		written: last,
		durable: last,
		commit:  max(hs.Commit, snap.Index),
		handed:  snap.Index,
		applied: snap.Index,
	}
	return l, l.checkTerms(hs, first, last)
}

// checkTerms checks that terms do not go back along the snapshot, the ends of the log and the hard state.
func (l *raftLog) checkTerms(hs HardState, first, last uint64) error {
	prev, marks := uint64(0), []uint64{first, l.start.Index, last}
	if first > l.start.Index { // the log does not hold the snapshot's last entry any more
		prev, marks = l.start.Term, []uint64{first, last}
	}
	for _, i := range marks {
		if first > last {
			break // the log is empty
		}
		t, err := l.reader.Term(i)
		if err != nil {
			return fmt.Errorf("raft: term of entry %d: %w", i, err)
		}
		if i == l.start.Index && t != l.start.Term {
			return invalid("entry %d has term %d in the log and %d in the snapshot", i, t, l.start.Term)
		}
		if t == 0 || t < prev {
			return invalid("entry %d has term %d after term %d", i, t, prev)
		}
		prev = t
	}
	if hs.Term < prev || hs.Term > MaxTerm {
		return invalid("hard state has term %d, the log reaches term %d", hs.Term, prev)
	}
	if hs.Term == 0 && hs.Vote != 0 {
		return invalid("hard state has a vote for node %d in term 0", hs.Vote)
	}
	return nil
}

func (l *raftLog) live() []Entry { return l.tail[l.head:] }

// first is the index of the oldest entry that can be read.
func (l *raftLog) first() uint64 { return max(l.reader.FirstIndex(), l.floor) }

func (l *raftLog) last() uint64 { return l.offset + uint64(len(l.tail)-l.head) - 1 }

// term returns the term of an entry, 0 for index 0. Errors as LogReader.Term.
func (l *raftLog) term(i uint64) (uint64, error) {
	switch {
	case i == l.start.Index:
		return l.start.Term, nil
	case i > l.last():
		return 0, ErrUnavailable
	case i >= l.offset:
		return l.live()[i-l.offset].Term, nil
	case i < l.floor:
		return 0, ErrCompacted
	}
	return l.reader.Term(i)
}

// lastPosition names the last entry.
func (l *raftLog) lastPosition() (Position, error) {
	i := l.last()
	t, err := l.term(i)
	return Position{Index: i, Term: t}, err
}

// agree returns the last index up to hi whose term is at most t: no entry above it can be one that a log with term t at
// hi holds. Terms never decrease along a log, so it is found by bisection. It does not look below floor.
func (l *raftLog) agree(floor, hi, t uint64) (uint64, error) {
	hi = min(hi, l.last())
	if hi <= floor {
		return floor, nil
	}
	var err error
	n := sort.Search(int(hi-floor), func(i int) bool {
		et, terr := l.term(floor + 1 + uint64(i))
		if terr != nil {
			err = terr
		}
		return et > t
	})
	return floor + uint64(n), err
}

// append adds entries that follow the last one.
func (l *raftLog) append(entries ...Entry) {
	l.tail = append(l.tail, entries...)
	l.bytes += costOf(entries)
}

// truncate drops the entries from index i on; i is above commit. The caller cuts the writes under way likewise.
func (l *raftLog) truncate(i uint64) {
	if i <= l.offset {
		clear(l.tail)
		l.tail, l.head, l.offset, l.bytes = l.tail[:0], 0, i, 0
	} else {
		cut := l.live()[i-l.offset:]
		l.bytes -= costOf(cut)
		clear(cut)
		l.tail = l.tail[:len(l.tail)-len(cut)]
	}
	l.written = min(l.written, i-1)
	l.durable = min(l.durable, i-1)
}

// durableTo records that entries up to i are durable.
func (l *raftLog) durableTo(i uint64) { l.durable = max(l.durable, i) }

// relieve lets go of what is durable when the tail costs more than maxBytes, applied or not.
func (l *raftLog) relieve(maxBytes uint64) {
	if l.bytes > maxBytes {
		l.drop(l.durable)
	}
}

// commitTo moves the commit index; it never goes back.
func (l *raftLog) commitTo(i uint64) { l.commit = max(l.commit, min(i, l.last())) }

func (l *raftLog) appliedTo(i uint64) error {
	if i < l.applied || i > l.handed {
		return invalid("applied %d, with %d handed out and %d applied before", i, l.handed, l.applied)
	}
	l.applied = i
	n := 0
	for n < len(l.handouts) && l.handouts[n].last <= i {
		l.applying -= l.handouts[n].cost
		n++
	}
	l.handouts = slices.Delete(l.handouts, 0, n)
	return nil
}

// compactTo moves the start of the log to an applied entry; what is below may be gone from the reader afterwards.
func (l *raftLog) compactTo(i, term uint64) error {
	if i > l.applied {
		return invalid("compaction to entry %d, with %d applied", i, l.applied)
	}
	t, err := l.term(i)
	if err != nil {
		return err
	}
	if t != term {
		return invalid("entry %d has term %d in the log and %d in the snapshot", i, t, term)
	}
	l.start = Position{Index: i, Term: t}
	return nil
}

// restore makes a snapshot the beginning of what is applied. If the log holds its last entry durably, the log is
// kept; else nothing of it is left. The snapshot stands for the entries it covers in every respect but that it is not
// applied yet.
func (l *raftLog) restore(at Position, keep bool) {
	if keep {
		l.drop(at.Index)
	} else {
		clear(l.tail)
		l.tail, l.head, l.offset, l.bytes = l.tail[:0], 0, at.Index+1, 0
		l.written, l.durable, l.floor = at.Index, at.Index, at.Index+1
	}
	l.start = at
	l.commit, l.handed = max(l.commit, at.Index), at.Index
}

func (l *raftLog) hasUnwritten() bool { return l.written < l.last() }

// takeUnwritten hands out, as a copy, what no write has carried yet.
func (l *raftLog) takeUnwritten() []Entry {
	if !l.hasUnwritten() {
		return nil
	}
	out := slices.Clone(l.live()[l.written+1-l.offset:])
	l.written = l.last()
	return out
}

// hasCommitted says whether there is something to apply. A snapshot being installed comes before the entries behind it.
func (l *raftLog) hasCommitted(maxApplying uint64) bool {
	return l.handed < min(l.commit, l.durable) && l.applying < maxApplying && l.applied >= l.start.Index
}

// takeCommitted hands out, as a copy, the next entries to apply, and drops them from the tail.
func (l *raftLog) takeCommitted(maxBytes, maxApplying uint64) ([]Entry, error) {
	if !l.hasCommitted(maxApplying) {
		return nil, nil
	}
	out, err := l.slice(l.handed+1, min(l.commit, l.durable)+1, maxBytes)
	if err != nil {
		return nil, err
	}
	l.handed += uint64(len(out))
	h := handout{last: l.handed, cost: costOf(out)}
	l.handouts = append(l.handouts, h)
	l.applying += h.cost
	l.drop(l.handed)
	return out, nil
}

// slice copies entries [lo, hi) until their Data exceeds maxBytes, at least one. It ends early where the tail begins.
func (l *raftLog) slice(lo, hi, maxBytes uint64) ([]Entry, error) {
	if lo >= l.offset {
		from := l.live()[lo-l.offset : hi-l.offset]
		n, size := 0, uint64(0)
		for n < len(from) && (n == 0 || size+uint64(len(from[n].Data)) <= maxBytes) {
			size += uint64(len(from[n].Data))
			n++
		}
		return slices.Clone(from[:n]), nil
	}
	if lo < l.floor {
		return nil, ErrCompacted
	}
	hi = min(hi, l.offset)
	out, err := l.reader.Entries(lo, hi, maxBytes)
	if err != nil {
		return nil, err
	}
	if len(out) == 0 || uint64(len(out)) > hi-lo || out[0].Index != lo || out[len(out)-1].Index != lo+uint64(len(out))-1 {
		return nil, invalid("the log reader was asked for entries [%d, %d) and gave others", lo, hi)
	}
	return out, nil
}

// drop frees the tail up to entry i. The array is compacted once half of it is free, which is amortised constant work.
func (l *raftLog) drop(i uint64) {
	if i < l.offset {
		return
	}
	gone := l.live()[:i+1-l.offset]
	l.bytes -= costOf(gone)
	l.offset += uint64(len(gone))
	l.head += len(gone)
	clear(gone)
	if l.head >= len(l.tail)-l.head {
		n := copy(l.tail, l.live())
		clear(l.tail[n:])
		l.tail, l.head = l.tail[:n], 0
	}
}
