package wal

import (
	"fmt"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// InspectOptions say what Inspect looks at.
type InspectOptions struct {
	// FS holds the files. Required.
	FS vfs.FS
	// Dir is the directory of the log. Required.
	Dir string
	// Owner is whose log it should be; nil believes the origin file, or the first header.
	Owner *Owner
	// Visit is given every record, in the order of the log, as far as it can be read. Its Data is valid during the call
	// only. An error of it ends the inspection and is returned. Default none.
	Visit func(*Record) error
	// Progress is told how many more bytes were looked at. Default nobody.
	Progress func(bytes int64)
}

// Inspection is what a log's directory holds, read without changing anything of it.
type Inspection struct {
	Owner   Owner
	Origin  uint64       // the oldest file in use, as the origin file says; 0 when it does not
	Files   []FileReport // in use, by ascending id
	Trimmed []string     // names of log files that are older than Origin: waiting to be recycled
	Spares  []string
	Foreign []string // names that are not the log's

	First uint64 // index of the oldest live entry; Last+1 when there is none
	Last  uint64
	Hard  raft.HardState
	// Tail says how the last file ends. No tail is damage.
	Tail   Tail
	Faults []Fault

	line timeline
}

// FileReport is one log file.
type FileReport struct {
	Name      string
	ID        uint64
	Bytes     int64
	Restart   bool   // the log begins anew here; older files are void
	FirstNext uint64 // index of the entry that comes first in this file
	Entries   uint64 // live ones
	First     uint64 // of the live ones; 0 when there is none
	Last      uint64
	Used      int64 // where its last batch ends
	Hard      raft.HardState
	Damaged   bool
}

// Tail is the state of a log behind its last batch.
type Tail uint8

const (
	// TailClean is a last batch with nothing but zeros behind it.
	TailClean Tail = iota
	// TailOld is a last batch with bytes behind it that no batch claims: of a recycled file's former life, or torn.
	TailOld
	// TailTorn is the beginning of a batch that was never acknowledged.
	TailTorn
)

// String names the tail.
func (t Tail) String() string {
	switch t {
	case TailOld:
		return "old bytes"
	case TailTorn:
		return "torn"
	}
	return "clean"
}

// Fault is one thing that is wrong with a log.
type Fault struct {
	File      string
	Offset    int64
	Reason    string
	FirstLost uint64 // entries that cannot be read; 0 when none, or not known
	LastLost  uint64
	Err       error // why the file could not be looked at; nil when what it holds is the fault
}

// Inspect reads a log's directory as Open does, and reports instead of repairing. It goes on behind what is damaged. It
// writes nothing. Beside running appends it may see a torn tail, or a file that was just recycled.
//
// It holds 12 bytes for each entry, as the log does, and one file mapped at a time.
func Inspect(o InspectOptions) (*Inspection, error) {
	in := &inspector{opts: o, out: &Inspection{}}
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("wal: list %s: %w", o.Dir, err)
	}
	used, haveOrigin := in.sort(names)
	if haveOrigin {
		used = in.readOrigin(used)
	}
	in.checkNames(used, haveOrigin)
	files := in.headers(used)
	in.checkOwners(files)
	in.out.line.next = 1
	for i, f := range files {
		if err := in.file(files, i, f); err != nil {
			return nil, err
		}
	}
	in.finish()
	return in.out, nil
}

// Term returns the term of a live entry.
func (in *Inspection) Term(index uint64) (uint64, bool) {
	if in.line.within(index, index+1) != nil {
		return 0, false
	}
	i := in.line.find(index)
	if i == len(in.line.files) || !in.line.files[i].span.holds(index) {
		return 0, false // in a hole
	}
	return in.line.files[i].span.term(index), true
}
