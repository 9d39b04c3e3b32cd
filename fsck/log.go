package fsck

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/wal"
)

// commands are what the log says of segments and roots, by entries that were committed when it was written.
type commands struct {
	all      []command // that may still be truncated, by ascending index
	recorded []tlog.Descriptor
	checks   []ledgerRoot
}

// command is one that matters here, or one that cannot be read.
type command struct {
	index  uint64
	file   string
	offset int64
	desc   *tlog.Descriptor
	check  *ledger.RootCheck
	bad    error
}

// checkLog reads the log.
func (c *checker) checkLog() error {
	dir := c.path(logDir)
	o := wal.InspectOptions{FS: c.opts.FS, Dir: dir, Progress: c.advance, Visit: c.record}
	if cluster, err := raft.ParseClusterID(c.identity.ClusterID); err == nil && c.hasID {
		o.Owner = &wal.Owner{Cluster: cluster, Node: c.identity.NodeID}
	}
	const lost = "every entry that was not in segments yet, and what this node promised the others"
	in, err := wal.Inspect(o)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.damage(KindLog, dir, 0, lost, restoreLog, "the log's directory is missing")
		return nil
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case err != nil:
		c.failed(KindLog, dir, lost, restoreLog, err)
		return nil
	}
	c.log = in
	for _, name := range in.Foreign {
		c.stray(c.path(logDir, name))
	}
	for i := range in.Faults {
		f := &in.Faults[i]
		if f.Err != nil {
			c.failed(KindLog, f.File, "", restoreLog, f.Err)
			continue
		}
		lost := ""
		if f.FirstLost > 0 {
			lost = fmt.Sprintf("the log's entries %d to %d", f.FirstLost, f.LastLost)
		}
		c.damage(KindLog, f.File, f.Offset, lost, restoreLog, "%s", f.Reason)
	}
	if len(in.Files) == 0 && len(in.Faults) == 0 {
		c.damage(KindLog, dir, 0, lost, restoreLog, "the log has no file")
	}
	r := c.report
	r.Checked.LogFiles = len(in.Files)
	for _, f := range in.Files {
		r.Checked.LogEntries += f.Entries
	}
	r.Log = LogState{First: in.First, Last: in.Last, Term: in.Hard.Term, Commit: in.Hard.Commit, Tail: in.Tail.String()}
	c.settleCommands()
	return nil
}

// record looks at one record of the log.
func (c *checker) record(r *wal.Record) error {
	if err := c.ctx.Err(); err != nil || r.Type != "entry" || r.Torn {
		return err
	}
	all := c.commands.all
	for len(all) > 0 && all[len(all)-1].index >= r.Index { // it truncates them (Raft §5.3)
		all = all[:len(all)-1]
	}
	cmd := command{index: r.Index, file: r.File, offset: r.Offset}
	switch r.Kind {
	case raft.EntryNormal:
		var info ledger.CommandInfo
		if info, cmd.bad = ledger.DescribeCommand(r.Data); cmd.bad == nil {
			cmd.desc, cmd.check = info.Recorded, info.Check
		}
	case raft.EntryMembers:
		_, cmd.bad = raft.ParseMembership(r.Data)
	case raft.EntryNoop:
	default:
		cmd.bad = fmt.Errorf("entry of kind %d", r.Kind)
	}
	if (cmd.desc != nil || cmd.check != nil || cmd.bad != nil) && len(all) < maxCommands {
		all = append(all, cmd)
	}
	c.commands.all = all
	return nil
}

// maxCommands bounds the commands that are kept. A log of 64 GiB has some thousands.
const maxCommands = 1 << 20

// settleCommands takes what the log's committed entries say.
func (c *checker) settleCommands() {
	for _, cmd := range c.commands.all {
		switch {
		case cmd.bad != nil:
			c.damage(KindLogEntry, cmd.file, cmd.offset, fmt.Sprintf("the log's entry %d", cmd.index), restoreLog,
				"entry %d verifies and holds no command: %v", cmd.index, cmd.bad)
		case cmd.index > c.log.Hard.Commit:
		case cmd.desc != nil:
			c.commands.recorded = append(c.commands.recorded, *cmd.desc)
		default:
			c.commands.checks = append(c.commands.checks, ledgerRoot{size: cmd.check.Size, index: cmd.index, root: cmd.check.Root})
		}
	}
	c.commands.all = nil
}

// compareLog holds the log against the manifest: replay begins behind the manifest's raft index.
func (c *checker) compareLog() error {
	in, state := c.log, c.state
	if in == nil || state == nil || len(in.Files) == 0 || c.rebuild {
		return nil
	}
	file, applied := c.path(manifestName), state.AppliedIndex
	gone := func(from, to uint64) string { return fmt.Sprintf("the log's entries %d to %d", from, to) }
	switch term, held := in.Term(applied); {
	case c.noted: // the next start makes the log begin where the snapshot ends, whatever it holds
	case in.First > applied+1 && applied == 0:
		c.damage(KindLogGap, file, 0, "which segments the ledger has, and "+gone(1, in.First-1), restoreManifest,
			"the file is missing, and the log begins at entry %d", in.First)
	case in.First > applied+1:
		c.damage(KindLogGap, file, 0, gone(applied+1, in.First-1), "restore a newer manifest, with its segments",
			"it ends at raft index %d, and the log begins at %d: the manifest is older than the log", applied, in.First)
	case in.Last < applied && len(in.Faults) == 0:
		c.damage(KindLogGap, c.path(logDir), 0, "what this node promised the others since", restoreLog,
			"the log ends at entry %d, and the manifest is as of %d: the newest log files are gone", in.Last, applied)
	case held && term != state.AppliedTerm:
		c.damage(KindLogGap, file, 0, "", restoreByTheirOwnName,
			"it is as of entry %d of term %d, and the log has that entry with term %d: they do not belong together", applied,
			state.AppliedTerm, term)
	}
	return nil
}
