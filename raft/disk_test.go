package raft

import (
	"fmt"
	"slices"
)

// testDisk is the durable state of one node, as the real log keeps it: a hard state and entries, the later write wins.
type testDisk struct {
	hard    HardState
	base    Position // the entry before the first one held
	entries []Entry
	broken  error // returned by every read when set
}

func (d *testDisk) FirstIndex() uint64 { return d.base.Index + 1 }
func (d *testDisk) LastIndex() uint64  { return d.base.Index + uint64(len(d.entries)) }

func (d *testDisk) Term(i uint64) (uint64, error) {
	switch {
	case d.broken != nil:
		return 0, d.broken
	case i <= d.base.Index:
		return 0, ErrCompacted
	case i > d.LastIndex():
		return 0, ErrUnavailable
	}
	return d.entries[i-d.FirstIndex()].Term, nil
}

func (d *testDisk) Entries(lo, hi, maxBytes uint64) ([]Entry, error) {
	switch {
	case d.broken != nil:
		return nil, d.broken
	case lo <= d.base.Index:
		return nil, ErrCompacted
	case hi > d.LastIndex()+1 || lo >= hi:
		return nil, ErrUnavailable
	}
	var out []Entry
	var size uint64
	for _, e := range d.entries[lo-d.FirstIndex() : hi-d.FirstIndex()] {
		size += uint64(len(e.Data))
		if len(out) > 0 && size > maxBytes {
			break
		}
		out = append(out, e)
	}
	return out, nil
}

func (d *testDisk) MembersEntries() ([]Entry, error) {
	var out []Entry
	for _, e := range d.entries {
		if e.Kind == EntryMembers {
			out = append(out, e)
		}
	}
	return out, d.broken
}

// write makes one Ready durable. It is as strict as the real log: no gaps, no terms going back.
func (d *testDisk) write(hs *HardState, entries []Entry) error {
	if hs != nil {
		if hs.Term < d.hard.Term || (hs.Term == d.hard.Term && d.hard.Vote != 0 && hs.Vote != d.hard.Vote) {
			return fmt.Errorf("hard state %+v after %+v", *hs, d.hard)
		}
		if hs.Commit < d.hard.Commit {
			return fmt.Errorf("commit %d after %d", hs.Commit, d.hard.Commit)
		}
		d.hard = *hs
	}
	for _, e := range entries {
		if e.Index <= d.base.Index || e.Index > d.LastIndex()+1 {
			return fmt.Errorf("entry %d, and the log ends at %d", e.Index, d.LastIndex())
		}
		if e.Index <= d.hard.Commit {
			return fmt.Errorf("entry %d is written again below commit %d", e.Index, d.hard.Commit)
		}
		d.entries = d.entries[:e.Index-d.FirstIndex()]
		if prev := d.termBefore(e.Index); e.Term < prev {
			return fmt.Errorf("entry %d of term %d after term %d", e.Index, e.Term, prev)
		}
		d.entries = append(d.entries, e)
	}
	if d.hard.Commit > d.LastIndex() {
		return fmt.Errorf("commit %d, and the log ends at %d", d.hard.Commit, d.LastIndex())
	}
	return nil
}

func (d *testDisk) termBefore(i uint64) uint64 {
	if i-1 <= d.base.Index {
		return d.base.Term
	}
	return d.entries[i-1-d.FirstIndex()].Term
}

// reset makes the log begin anew behind a snapshot.
func (d *testDisk) reset(at Position) { d.base, d.entries = at, nil }

// compact drops the entries up to i.
func (d *testDisk) compact(i uint64) {
	if i <= d.base.Index {
		return
	}
	t, _ := d.Term(i)
	d.entries = slices.Clone(d.entries[i-d.base.Index:])
	d.base = Position{Index: i, Term: t}
}

// holds says whether the entry is durable.
func (d *testDisk) holds(p Position) bool {
	t, err := d.Term(p.Index)
	return p.Index < d.base.Index || p == d.base || (err == nil && t == p.Term)
}
