package node

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// rebuildName is the note that this node's state is not to be trusted: it is damaged or has diverged. It holds the
	// reason, and stays until the state of the other members has taken its place.
	rebuildName     = "REBUILD"
	maxRebuildBytes = 64 << 10
)

// A node whose state is damaged or has diverged, and that is not alone, rebuilds it when it is opened. Its log is whole:
// it holds what the node has promised. So it opens the log and the network, but neither state nor core, fetches the
// state of another member from which its own log goes on, or behind which nothing of its log counts, installs that as a
// follower does, and then starts as always. What it still has of segments is read whole before it is used.

// unsound says that an error means that this node's state, not its log nor the archive, is damaged or has diverged.
func (n *Node) unsound(err error) bool {
	if isCold(err) {
		return false // it is about the object store: what this node has is whole, and a rebuild would mend nothing
	}
	var corrupt *vfs.CorruptError
	if errors.As(err, &corrupt) {
		return !strings.HasPrefix(corrupt.File, path.Join(n.opts.Dir, logDir)+"/")
	}
	return isDiverged(err)
}

// giveUp notes, for a node that fails, that its state must be rebuilt, if that is why and there are members to do it from.
func (n *Node) giveUp(cause error) {
	if n.restoring.Load() || !n.unsound(cause) {
		return
	}
	switch noted, err := n.noteRebuild(cause); {
	case err != nil:
		n.opts.Logger.Error("that the state must be rebuilt could not be noted", "error", err)
	case noted:
		n.opts.Logger.Error("the state of this node must be rebuilt, which the next start does from the other members",
			"reason", cause)
	}
}

// WantsRebuild says of a node that has failed that its state is to be rebuilt, which the next Open does.
func (n *Node) WantsRebuild() bool {
	reason, _, err := n.readRebuild()
	return err == nil && reason != "" && n.Err() != nil
}

// noteRebuild makes durable that the state must be rebuilt. False: there is nobody to rebuild it from.
func (n *Node) noteRebuild(reason error) (noted bool, err error) {
	if len(n.knownPeers()) == 0 {
		return false, nil
	}
	text := strings.ReplaceAll(strings.ToValidUTF8(reason.Error(), "?"), "\n", " ")
	if len(text) > maxRebuildBytes/2 {
		text = text[:maxRebuildBytes/2]
	}
	if least := n.rebuildFrom.Load(); least > 0 {
		text += "\n" + rebuildFrom + strconv.FormatUint(least, 10)
	}
	return true, vfs.WriteFileAtomic(n.opts.FS, n.opts.Dir, rebuildName, []byte(text+"\n"))
}

// rebuildFrom begins the second line of a note, which says how far a state must be to be of use.
const rebuildFrom = "by a state as of raft index "

// readRebuild returns the reason of the note, empty when there is none, and the least index that a state must be as of.
func (n *Node) readRebuild() (reason string, least uint64, err error) {
	b, err := vfs.ReadFile(n.opts.FS, path.Join(n.opts.Dir, rebuildName), maxRebuildBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	reason, rest, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if index, ok := strings.CutPrefix(rest, rebuildFrom); ok {
		if least, err = strconv.ParseUint(index, 10, 64); err != nil {
			return "", 0, &vfs.CorruptError{File: path.Join(n.opts.Dir, rebuildName), Offset: int64(len(reason)), Reason: err.Error()}
		}
	}
	return "noted: " + reason, least, nil
}

// openLedger opens the ledger, or, when the state cannot be trusted and other members have it, an empty one that is to
// be rebuilt.
func (n *Node) openLedger(lo ledger.Options) error {
	reason, least, err := n.readRebuild()
	if err != nil {
		return err
	}
	n.rebuildFrom.Store(least)
	if reason != "" {
		// The installation of the other members' state may have been decided on already.
		note, ok, err := ledger.ReadInstallation(lo.FS, lo.Dir)
		if err != nil {
			return err
		}
		if !ok || !note.Rebuilt {
			return n.openRebuilding(lo, reason)
		}
	}
	n.ledger, err = ledger.Open(lo)
	if err == nil {
		if err = n.settleInstallation(); err == nil {
			err = n.checkReplay()
		}
	}
	if err == nil || !n.unsound(err) {
		return err
	}
	noted, nerr := n.noteRebuild(err)
	if !noted || nerr != nil {
		return errors.Join(err, nerr)
	}
	if n.ledger != nil {
		if cerr := n.ledger.Close(); cerr != nil {
			return errors.Join(err, cerr)
		}
	}
	return n.openRebuilding(lo, err.Error())
}

// checkReplay finds a log that does not go on where the manifest ends: the manifest, or all of the segments, are gone.
func (n *Node) checkReplay() error {
	index, _, _ := n.ledger.SealPoint()
	if first := n.log.FirstIndex(); first > index+1 {
		return &vfs.CorruptError{File: path.Join(n.opts.Dir, manifestName), Reason: fmt.Sprintf(
			"it ends at raft index %d, or is missing, and the log begins at %d; restore the manifest and the segments from "+
				"a backup", index, first)}
	}
	return nil
}

func (n *Node) openRebuilding(lo ledger.Options, reason string) error {
	lo.Rebuild = true
	var err error
	if n.ledger, err = ledger.Open(lo); err != nil {
		return err
	}
	n.opts.Logger.Error("the state of this node is not used; it is rebuilt from the other members", "reason", reason)
	n.restoring.Store(true)
	return nil
}

// beginRestore sets the fetcher to work, before any goroutine runs.
func (n *Node) beginRestore() {
	peers := n.knownPeers()
	n.net().SetPeers(peers)
	g := goal{index: n.snapshots.minIndex(), peers: idsOf(peers)}
	if len(g.peers) > 0 {
		// Whoever it is: they are rotated when they do not answer.
		g.from = g.peers[n.draw.Uint64N(uint64(len(g.peers)))]
	}
	n.snapshots.aim(g)
	members, _ := raft.NewMembership(append(peers, n.self())...) // for people; nothing is decided by it
	n.status.Store(&raft.Status{ID: n.opts.NodeID, Members: members, Term: n.log.HardState().Term})
}

func (n *Node) self() raft.Member {
	return raft.Member{ID: n.opts.NodeID, Role: raft.Voter, RaftAddr: n.opts.RaftAddr, HTTPAddr: n.opts.HTTPAddr}
}

// goOnRestored goes on as an open without damage would have, once the state of another member is here.
func (n *Node) goOnRestored() (done bool, err error) {
	snap, ok := n.snapshots.staged()
	if !ok {
		return false, nil
	}
	if err = n.installSnapshot(snap); err == nil {
		err = n.settleInstallation()
	}
	if err == nil {
		err = n.checkReplay()
	}
	if err == nil {
		err = n.openCore()
	}
	if err != nil {
		err = fmt.Errorf("rebuild the state from the other members: %w", err)
		n.fail(err)
		return true, err
	}
	n.opts.Logger.Info("the state of this node is rebuilt", "applied_index", snap.Index)
	n.restoring.Store(false)
	if !n.opts.Manual {
		n.startLoops()
	}
	return true, nil
}

// restoreFault says that the node is being rebuilt; empty when it is not.
func (n *Node) restoreFault() string {
	if !n.restoring.Load() {
		return ""
	}
	return "rebuilding from peers: " + n.snapshots.progress()
}

// settleInstallation ends the installation of a snapshot whose state is in place: it makes the log begin there, unless
// the log leads there, and removes the notes. For Open, and for whoever holds the log alone.
func (n *Node) settleInstallation() error {
	note, ok, err := ledger.ReadInstallation(n.opts.FS, n.opts.Dir)
	if err != nil || !ok {
		return err
	}
	index, term, _ := n.ledger.SealPoint()
	if index == note.Index && !n.logLeadsTo(index, term) {
		hs := n.log.HardState()
		if hs.Term < term {
			hs.Term, hs.Vote = term, 0 // whoever wrote the snapshot's last entry was elected without this node's vote
		}
		hs.Commit = max(hs.Commit, index)
		n.opts.Logger.Info("the log begins anew behind a snapshot", "index", index, "term", term)
		if err := n.log.Reset(index, term, hs); err != nil {
			return err
		}
	}
	if note.Rebuilt {
		if err := n.removeNote(rebuildName); err != nil {
			return err
		}
	}
	return n.ledger.ForgetInstallation(note.Index)
}

// logLeadsTo says whether what follows the entry of that index and term is in the log, be it nothing yet.
func (n *Node) logLeadsTo(index, term uint64) bool {
	if index+1 == n.log.FirstIndex() {
		return true
	}
	has, err := n.log.Term(index)
	return err == nil && has == term
}

func (n *Node) removeNote(name string) error {
	err := n.opts.FS.Remove(path.Join(n.opts.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return n.opts.FS.SyncDir(n.opts.Dir)
}
