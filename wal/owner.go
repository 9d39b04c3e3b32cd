package wal

import (
	"encoding/binary"
	"fmt"
	"path"

	"github.com/scribe-ledger/scribe/raft"
)

// Owner is the member whose log it is. It stands in every log file's header and in the origin file, because the log is
// the member's memory of what it voted for and acknowledged: with another's, it would break its promises without
// knowing (Raft §5.2, §5.4).
type Owner struct {
	Cluster raft.ClusterID
	Node    uint64
}

func (o Owner) String() string { return fmt.Sprintf("node %d of cluster %s", o.Node, o.Cluster) }

const ownerSize = 24

// put writes the owner into b: the cluster, then the node.
func (o Owner) put(b []byte) {
	copy(b[:16], o.Cluster[:])
	binary.LittleEndian.PutUint64(b[16:ownerSize], o.Node)
}

func ownerAt(b []byte) Owner {
	return Owner{Cluster: raft.ClusterID(b[:16]), Node: binary.LittleEndian.Uint64(b[16:])}
}

// OwnerError refuses to open a log that is another member's. The files are left as they are.
type OwnerError struct {
	Dir  string
	Has  Owner // whose log it is
	Want Owner // Options.Owner
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("wal: the log in %s is that of %s, not of %s", e.Dir, e.Has, e.Want)
}

// Owner is whose log it is: Options.Owner, or the one that Options.Adopt found.
func (l *Log) Owner() Owner { return l.owner }

// checkOwner finds out whose log the files are, which must agree on it. It comes before anything of the directory is
// changed, and before the records are read: damage to another's log is none of ours.
func (l *Log) checkOwner(files []*logFile) error {
	l.owner = l.opts.Owner
	if len(files) == 0 {
		return nil
	}
	has := files[0].hdr.owner
	for _, f := range files[1:] {
		if f.hdr.owner == has {
			continue
		}
		if f.hdr.owner == l.opts.Owner {
			f, has = files[0], f.hdr.owner // the stranger is more likely the one that is not ours
		}
		return f.corrupt(ownerOffset, "the file is from the log of %s, and stands in that of %s; %s", f.hdr.owner, has,
			remedy)
	}
	if l.origin.id > 0 && l.origin.owner != has {
		f := &logFile{path: path.Join(l.opts.Dir, originName)}
		return f.corrupt(int64(l.origin.slot*originSlot+originOwnerOffset),
			"the file is from the log of %s, and stands in that of %s; %s", l.origin.owner, has, remedy)
	}
	l.owner = has
	if has != l.opts.Owner && !l.opts.Adopt {
		return l.notOurs()
	}
	return nil
}

// checkAdopted refuses a log of another owner that was used: it holds or held entries, or a vote. It comes when the
// records have been read.
func (l *Log) checkAdopted() error {
	if l.owner == l.opts.Owner || (l.line.next == 1 && l.line.hard == raft.HardState{}) {
		return nil
	}
	return l.notOurs()
}

func (l *Log) notOurs() error {
	return &OwnerError{Dir: l.opts.Dir, Has: l.owner, Want: l.opts.Owner}
}
