package raft

import "errors"

// EntryKind says who an entry is for.
type EntryKind uint8

const (
	// EntryNormal carries a command of the state machine.
	EntryNormal EntryKind = 1
	// EntryNoop is the empty entry with which a leader begins its term (Raft §8).
	EntryNoop EntryKind = 2
	// EntryMembers carries a configuration of the cluster (Raft §6). The first leader begins its term with one.
	EntryMembers EntryKind = 3
)

// Entry is one record of the replicated log. Indexes begin at 1. Data is owned by the log once proposed: never changed.
type Entry struct {
	Index uint64
	Term  uint64
	Kind  EntryKind
	Data  []byte
}

// HardState is what must be durable before any message that depends on it leaves (Raft figure 2, persistent state).
// Commit is a hint that shortens recovery; it may lag, never lead, the true commit index.
type HardState struct {
	Term   uint64
	Vote   uint64
	Commit uint64
}

// LogReader is the durable log as the core reads it. The core never reads an entry that it has not been told is durable
// or still holds itself.
type LogReader interface {
	// FirstIndex is the index of the first entry held; LastIndex+1 when there is none.
	FirstIndex() uint64
	// LastIndex is the index of the last entry held, or the index before the first one when the log is empty.
	LastIndex() uint64
	// Term returns the term of an entry. ErrCompacted below FirstIndex, ErrUnavailable above LastIndex.
	Term(index uint64) (uint64, error)
	// Entries returns entries [lo, hi) until their Data exceeds maxBytes, at least one. Errors as Term, and corruption.
	Entries(lo, hi, maxBytes uint64) ([]Entry, error)
	// MembersEntries returns the entries of kind EntryMembers that the log holds, in order. Asked once, by New.
	MembersEntries() ([]Entry, error)
}

var (
	// ErrCompacted says that the entry was dropped after a snapshot took its place.
	ErrCompacted = errors.New("raft: entry is compacted")
	// ErrUnavailable says that the entry is not in the log yet.
	ErrUnavailable = errors.New("raft: entry is not available")
)
