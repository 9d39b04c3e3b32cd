package sim

import (
	"fmt"
	"strings"
	"time"
)

// Stats count what happened in a run, or in several.
type Stats struct {
	Simulated  time.Duration
	Events     uint64
	Frames     uint64 // messages, requests and bulk sent
	Faults     [classes]uint64
	Operations [opUncertain + 1]uint64 // by how they ended
	Unknown    uint64                  // attempts that ended without an answer
	Refused    uint64                  // attempts that were refused for certain
	NoSpace    uint64                  // of those, for want of disk space
	Waits      uint64                  // steps that found no space for the log or a snapshot
	Elections  uint64                  // nodes that became leader
	Terms      uint64                  // in which somebody led
	Entries    uint64                  // raft entries applied
	Starts     uint64                  // of processes
	Failures   uint64                  // processes that ended because of a fault that was injected
	Installs   uint64                  // snapshots installed by running nodes
	Rebuilds   uint64                  // of damaged nodes
	Segments   uint64                  // installed in the end, on one node
	Merges     uint64                  // segments that were recorded in the place of others
	Checked    uint64                  // operations that porcupine looked at

	// Of the object store.
	Requests    uint64 // that reached it
	Evictions   uint64 // files that went for their objects
	ColdReads   uint64 // reads of clients that asked it
	Unavailable uint64 // reads and conditional writes that ended with an error because of it
	Published   uint64 // states
	Swept       uint64 // objects that were no longer needed, and deleted
	Repairs     uint64 // objects deleted to be put again from a file
	Restored    uint64 // entries of ledgers that were opened from their archives in the end
}

// Add adds what another run counted.
func (s *Stats) Add(o Stats) {
	s.Simulated += o.Simulated
	for i := range s.Faults {
		s.Faults[i] += o.Faults[i]
	}
	for i := range s.Operations {
		s.Operations[i] += o.Operations[i]
	}
	for _, x := range [...]struct {
		to  *uint64
		add uint64
	}{
		{&s.Events, o.Events}, {&s.Frames, o.Frames}, {&s.Unknown, o.Unknown}, {&s.Refused, o.Refused},
		{&s.NoSpace, o.NoSpace}, {&s.Waits, o.Waits},
		{&s.Elections, o.Elections}, {&s.Terms, o.Terms}, {&s.Entries, o.Entries}, {&s.Starts, o.Starts},
		{&s.Failures, o.Failures}, {&s.Rebuilds, o.Rebuilds}, {&s.Installs, o.Installs}, {&s.Segments, o.Segments}, {&s.Merges, o.Merges}, {&s.Checked, o.Checked},
		{&s.Requests, o.Requests}, {&s.Evictions, o.Evictions}, {&s.ColdReads, o.ColdReads}, {&s.Unavailable, o.Unavailable},
		{&s.Published, o.Published}, {&s.Swept, o.Swept}, {&s.Repairs, o.Repairs}, {&s.Restored, o.Restored},
	} {
		*x.to += x.add
	}
}

// TotalFaults is the number of injected faults of all classes.
func (s *Stats) TotalFaults() (n uint64) {
	for _, f := range s.Faults {
		n += f
	}
	return n
}

// String is a report of several lines.
func (s *Stats) String() string {
	var b strings.Builder
	seconds := max(s.Simulated.Seconds(), 1e-9)
	fmt.Fprintf(&b, "%.0f simulated seconds, %d events, %d frames\n", seconds, s.Events, s.Frames)
	fmt.Fprintf(&b, "%d faults, %.0f a second:", s.TotalFaults(), float64(s.TotalFaults())/seconds)
	for c := range classes {
		if s.Faults[c] > 0 {
			fmt.Fprintf(&b, " %d %s,", s.Faults[c], c)
		}
	}
	ops := s.Operations
	fmt.Fprintf(&b, "\n%d operations answered, %d on a condition that did not hold, %d refused, %d of unknown outcome; %d "+
		"attempts refused, %d of them for want of disk space, %d without an answer\n", ops[opDone], ops[opNotMet], ops[opNotDone], ops[opUncertain], s.Refused,
		s.NoSpace, s.Unknown)
	if s.NoSpace+s.Waits > 0 {
		fmt.Fprintf(&b, "%d steps without space for the log or a snapshot\n", s.Waits)
	}
	fmt.Fprintf(&b, "%d elections, %d terms with a leader, %d entries, %d starts, %d of them after a failure, %d snapshots "+
		"installed, %d states rebuilt, %d segments, %d merges, %d operations checked for linearizability", s.Elections, s.Terms, s.Entries, s.Starts,
		s.Failures, s.Installs, s.Rebuilds, s.Segments, s.Merges, s.Checked)
	if s.Requests > 0 {
		fmt.Fprintf(&b, "\n%d requests to the object store, %d files given up, %d cold reads, %d calls not answered because of "+
			"it, %d states published, %d objects swept, %d repaired, %d entries restored", s.Requests, s.Evictions, s.ColdReads,
			s.Unavailable, s.Published, s.Swept, s.Repairs, s.Restored)
	}
	return b.String()
}
