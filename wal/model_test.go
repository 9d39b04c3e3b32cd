package wal

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// model is what a log is: a slice of entries, of which the oldest may have been let go, and a hard state.
type model struct {
	hard    raft.HardState
	entries []raft.Entry // entries[0] has index base+1
	base    uint64
	trimmed uint64 // the log may begin anywhere up to trimmed+1
}

func (m *model) last() uint64 { return m.base + uint64(len(m.entries)) }

func (m *model) term(index uint64) uint64 {
	if index <= m.base {
		return 0
	}
	return m.entries[index-m.base-1].Term
}

func (m *model) append(hs *raft.HardState, entries []raft.Entry) {
	if hs != nil {
		m.hard = *hs
	}
	if len(entries) > 0 {
		n := entries[0].Index - m.base - 1
		m.entries = append(m.entries[:n:n], entries...)
	}
}

// check compares everything a log can be asked with the model.
func (m *model) check(l *Log) error {
	first := l.FirstIndex()
	if l.LastIndex() != m.last() || first > max(m.trimmed, m.base)+1 || first <= m.base {
		return fmt.Errorf("log holds %d to %d, want %d to %d, trimmed through %d",
			first, l.LastIndex(), m.base+1, m.last(), m.trimmed)
	}
	if l.HardState() != m.hard {
		return fmt.Errorf("hard state %+v, want %+v", l.HardState(), m.hard)
	}
	for i := first; i <= m.last(); i++ {
		if term, err := l.Term(i); err != nil || term != m.term(i) {
			return fmt.Errorf("entry %d has term %d (%v), want %d", i, term, err, m.term(i))
		}
	}
	if _, err := l.Term(m.last() + 1); !errors.Is(err, raft.ErrUnavailable) {
		return fmt.Errorf("term after the end: %v", err)
	}
	if _, err := l.Term(first - 1); !errors.Is(err, raft.ErrCompacted) {
		return fmt.Errorf("term before the beginning: %v", err)
	}
	got, err := all(l)
	if err != nil {
		return err
	}
	if err := sameEntries(got, m.entries[first-m.base-1:]); err != nil {
		return err
	}
	members, err := l.MembersEntries()
	if err != nil {
		return err
	}
	want := slices.DeleteFunc(got, func(e raft.Entry) bool { return e.Kind != raft.EntryMembers })
	return sameEntries(members, want)
}

func TestModel(t *testing.T) {
	methods(t, func(t *testing.T, method AppendMethod) {
		rapid.Check(t, func(t *rapid.T) {
			fs := vfs.NewMem()
			opts := Options{FS: fs, Dir: testDir, FileBytes: 4096, Method: method,
				SpareFiles: rapid.IntRange(-1, 3).Draw(t, "spares")}
			l, err := Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { l.Close() }()
			m := &model{}
			t.Repeat(map[string]func(*rapid.T){
				"append": func(t *rapid.T) {
					hs, entries := drawBatch(t, m, l.FirstIndex())
					if err := l.Append(hs, entries); err != nil {
						t.Fatal(err)
					}
					m.append(hs, entries)
				},
				"trim": func(t *rapid.T) {
					to := rapid.Uint64Range(0, m.last()+2).Draw(t, "to")
					if err := l.Trim(to); err != nil {
						t.Fatal(err)
					}
					m.trimmed = max(m.trimmed, to)
				},
				"prepare": func(t *rapid.T) {
					if err := l.Prepare(); err != nil {
						t.Fatal(err)
					}
					if l.Room() < 4096-headerSize {
						t.Fatalf("room for %d bytes with a spare ready", l.Room())
					}
				},
				"reset": func(t *rapid.T) {
					if rapid.IntRange(0, 4).Draw(t, "rarely") > 0 {
						return
					}
					index := m.last() + rapid.Uint64Range(0, 10).Draw(t, "ahead")
					m.hard.Term++
					m.hard.Vote = 0
					if err := l.Reset(index, m.hard.Term, m.hard); err != nil {
						t.Fatal(err)
					}
					m.entries, m.base, m.trimmed = nil, index, 0
				},
				"reopen": func(t *rapid.T) {
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					if l, err = Open(opts); err != nil {
						t.Fatal(err)
					}
				},
				"read": func(t *rapid.T) {
					first := l.FirstIndex()
					if first > m.last() {
						return
					}
					lo := rapid.Uint64Range(first, m.last()).Draw(t, "lo")
					hi := rapid.Uint64Range(lo+1, m.last()+1).Draw(t, "hi")
					limit := rapid.Uint64Range(0, 6000).Draw(t, "max")
					got, err := l.Entries(lo, hi, limit)
					if err != nil {
						t.Fatal(err)
					}
					if err := sameEntries(got, bounded(m.entries[lo-m.base-1:hi-m.base-1], limit)); err != nil {
						t.Fatal(err)
					}
				},
				"": func(t *rapid.T) {
					if err := m.check(l); err != nil {
						t.Fatal(err)
					}
				},
			})
		})
	})
}

// bounded is the longest prefix with at most limit bytes of data, at least one entry.
func bounded(entries []raft.Entry, limit uint64) []raft.Entry {
	size := uint64(0)
	for i, e := range entries {
		if size += uint64(len(e.Data)); i > 0 && size > limit {
			return entries[:i]
		}
	}
	return entries
}

// drawBatch draws a batch that continues m, or cuts it anywhere from first on.
func drawBatch(t *rapid.T, m *model, first uint64) (*raft.HardState, []raft.Entry) {
	var hs *raft.HardState
	if rapid.Bool().Draw(t, "hard") {
		h := m.hard
		if rapid.Bool().Draw(t, "newTerm") {
			h.Term++
			h.Vote = rapid.Uint64Range(0, 3).Draw(t, "vote")
		}
		h.Commit = rapid.Uint64Range(0, m.last()).Draw(t, "commit")
		hs = &h
	}
	index := m.last() + 1
	if rapid.IntRange(0, 3).Draw(t, "conflict") == 0 {
		index = rapid.Uint64Range(first, m.last()+1).Draw(t, "from")
	}
	term := max(m.term(index-1), m.term(m.last())) + rapid.Uint64Range(0, 1).Draw(t, "terms")
	term = max(term, m.hard.Term)
	entries := make([]raft.Entry, rapid.IntRange(0, 6).Draw(t, "n"))
	for i := range entries {
		size := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(0, 900), rapid.Just(5000)).Draw(t, "size")
		entries[i] = run(index+uint64(i), 1, term, size)[0]
		entries[i].Kind = raft.EntryKind(rapid.IntRange(1, 3).Draw(t, "kind"))
	}
	return hs, entries
}
