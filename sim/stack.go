package sim

import (
	"errors"
	"path"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// Options of OpenStack. FS and Dir have no default; FS, Dir, ClusterID and Manual of the parts are filled in.
type Options struct {
	FS     vfs.FS
	Dir    string
	WAL    wal.Options
	Ledger ledger.Options
	Clock  *Clock // default a new one

	// Proposed is told of every command that enters the log, in log order, before anything of it is written.
	Proposed func(Proposal)
	// Applied is told what became of an applied command: the moment at which a client would be answered.
	Applied func(at raft.Position, r ledger.Result)
}

// Proposal is a command on its way into the log.
type Proposal struct {
	Write *ledger.Command // nil for the ledger's own commands
	Data  []byte          // as the log has it
	Time  int64           // stamped on it, microseconds
}

// Clock counts microseconds, one for each look at it.
type Clock struct{ micros int64 }

// Now moves the clock on.
func (c *Clock) Now() int64 {
	c.micros++
	return c.micros
}

// Stack is the storage of one node and the core that drives it: a sole voter. Its methods do one piece of work each, and
// between two of them the caller may do anything. After an error that Persist, Apply or Turn returns, the node would
// end: only Close may follow. Errors of Flush and Trim leave the stack usable, as they leave a node.
type Stack struct {
	opts   Options
	log    *wal.Log
	ledger *ledger.Ledger
	core   *raft.Core

	writes    []raft.Ready              // handed out and not durable
	committed []raft.Entry              // handed out and not applied
	underWay  map[ledger.WantKey]uint64 // the ledger's wants in the log, and where
	trimmed   uint64
}

const (
	nodeID    = 1
	clusterID = "000000000000000000000000000000c1"
)

// OpenStack opens what a directory holds, or founds it, and campaigns. Run makes it leader and replays what the log
// holds beyond the last recorded seal.
func OpenStack(o Options) (*Stack, error) {
	if o.Clock == nil {
		o.Clock = &Clock{}
	}
	s := &Stack{opts: o, underWay: make(map[ledger.WantKey]uint64)}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stack) open() error {
	o := &s.opts
	o.WAL.FS, o.WAL.Dir = o.FS, path.Join(o.Dir, "wal")
	var err error
	if s.log, err = wal.Open(o.WAL); err != nil {
		return err
	}
	o.Ledger.FS, o.Ledger.Dir, o.Ledger.ClusterID, o.Ledger.Manual = o.FS, o.Dir, clusterID, true
	o.Ledger.Now = func() time.Time { return time.UnixMicro(0) } // it times flushes, for the metrics
	if s.ledger, err = ledger.Open(o.Ledger); err != nil {
		return err
	}
	index, term, encoded := s.ledger.SealPoint()
	members, err := raft.NewMembership(raft.Member{ID: nodeID, Role: raft.Voter})
	if err == nil && len(encoded) > 0 {
		members, err = raft.ParseMembership(encoded)
	}
	if err != nil {
		return err
	}
	s.ledger.SetMembers(raft.AppendMembership(nil, members))
	cluster, err := raft.ParseClusterID(clusterID)
	if err != nil {
		return err
	}
	s.core, err = raft.New(raft.Config{ID: nodeID, ClusterID: cluster}, s.log.HardState(),
		raft.Snapshot{Index: index, Term: term, Members: members}, s.log)
	if err != nil {
		return err
	}
	return s.core.Campaign()
}

// Ledger is the applied state.
func (s *Stack) Ledger() *ledger.Ledger { return s.ledger }

// Log is the write-ahead log.
func (s *Stack) Log() *wal.Log { return s.log }

// Write proposes a client's command.
func (s *Stack) Write(cmd *ledger.Command) (raft.Position, error) {
	data, err := ledger.EncodeWrite(cmd)
	if err != nil {
		return raft.Position{}, err
	}
	return s.propose(cmd, data)
}

// Seal proposes to seal the active memtable, whatever its size.
func (s *Stack) Seal() (raft.Position, error) { return s.propose(nil, ledger.SealNow()) }

// Repeat proposes a command that another stack has proposed, with the time that it has.
func (s *Stack) Repeat(data []byte) error {
	_, err := s.core.Propose([][]byte{data})
	return err
}

func (s *Stack) propose(cmd *ledger.Command, data []byte) (raft.Position, error) {
	now := s.opts.Clock.Now()
	ledger.StampTime(data, now)
	at, err := s.core.Propose([][]byte{data})
	if err == nil && s.opts.Proposed != nil {
		s.opts.Proposed(Proposal{Write: cmd, Data: data, Time: now})
	}
	return at, err
}

// Wants proposes what the ledger wants and is not under way.
func (s *Stack) Wants() error {
	for _, w := range s.ledger.Wanted(time.UnixMicro(0)) {
		if _, ok := s.underWay[w.Key]; ok {
			continue
		}
		at, err := s.propose(nil, w.Data)
		if err != nil {
			return err
		}
		s.underWay[w.Key] = at.Index
	}
	return nil
}

// Turn takes the core's work and queues it. It says whether there was any.
func (s *Stack) Turn() (bool, error) {
	if !s.core.HasReady() {
		return false, nil
	}
	rd, err := s.core.Ready()
	if err != nil {
		return false, err
	}
	if rd.HardState != nil || len(rd.Entries) > 0 {
		s.writes = append(s.writes, rd)
	}
	s.committed = append(s.committed, rd.Committed...)
	return true, nil
}

// Persist makes the queued writes durable as one batch.
func (s *Stack) Persist() (bool, error) {
	if len(s.writes) == 0 {
		return false, nil
	}
	var hard *raft.HardState
	var entries []raft.Entry
	for _, rd := range s.writes {
		if rd.HardState != nil {
			hard = rd.HardState
		}
		entries = append(entries, rd.Entries...)
	}
	if err := s.log.Append(hard, entries); err != nil {
		return false, err
	}
	number := s.writes[len(s.writes)-1].Number
	s.writes = nil
	return true, s.core.Advance(raft.Progress{Persisted: number})
}

// Apply applies the oldest committed entry.
func (s *Stack) Apply() (bool, error) {
	if len(s.committed) == 0 {
		return false, nil
	}
	e := s.committed[0]
	s.committed = s.committed[1:]
	if e.Kind == raft.EntryNormal {
		r, err := s.ledger.Apply(e.Index, e.Term, e.Data)
		if err != nil {
			return false, err
		}
		if s.opts.Applied != nil {
			s.opts.Applied(raft.Position{Index: e.Index, Term: e.Term}, r)
		}
	} else if e.Kind == raft.EntryMembers {
		s.ledger.SetMembers(e.Data)
	}
	for key, at := range s.underWay {
		if at == e.Index {
			delete(s.underWay, key)
		}
	}
	return true, s.core.Advance(raft.Progress{Applied: e.Index})
}

// Run turns, persists and applies until nothing is left of these.
func (s *Stack) Run() error {
	for {
		worked := false
		for _, step := range []func() (bool, error){s.Turn, s.Persist, s.Apply} {
			did, err := step()
			if err != nil {
				return err
			}
			worked = worked || did
		}
		if !worked {
			return nil
		}
	}
}

// Flush does one step of the ledger's flushing.
func (s *Stack) Flush() (bool, error) { return s.ledger.FlushStep() }

// Compact does one step of the ledger's compaction.
func (s *Stack) Compact() (bool, error) { return s.ledger.CompactStep() }

// Trim drops log files that the ledger does not need any more.
func (s *Stack) Trim() (bool, error) {
	index, term, encoded := s.ledger.SealPoint()
	if index == s.trimmed {
		return false, nil
	}
	members, err := raft.ParseMembership(encoded)
	if err != nil {
		return false, err
	}
	if err := s.core.Compact(raft.Snapshot{Index: index, Term: term, Members: members}); err != nil {
		return false, err
	}
	if err := s.log.Trim(index); err != nil {
		return false, err
	}
	s.trimmed = index
	return true, nil
}

// Prepare makes the next log file ready.
func (s *Stack) Prepare() error { return s.log.Prepare() }

// Settle goes on with everything until nothing is left to do: all that was sealed is recorded and in the manifest, and
// the log is as short as it can be.
func (s *Stack) Settle() error {
	for {
		if err := s.Run(); err != nil {
			return err
		}
		if err := s.Wants(); err != nil {
			return err
		}
		flushed, err := s.Flush()
		if err != nil {
			return err
		}
		compacted, err := s.Compact()
		if err != nil {
			return err
		}
		trimmed, err := s.Trim()
		if err != nil {
			return err
		}
		if !flushed && !compacted && !trimmed && !s.core.HasReady() {
			return nil
		}
	}
}

// Close lets go of the files, as far as they are open. Nothing is written but the log's last note.
func (s *Stack) Close() error {
	var errs []error
	if s.ledger != nil {
		errs = append(errs, s.ledger.Close())
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	return errors.Join(errs...)
}
