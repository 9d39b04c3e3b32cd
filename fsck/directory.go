package fsck

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// checkDirectory reads the identity and the notes, and finds files that have no place in a data directory.
func (c *checker) checkDirectory() error {
	names, err := c.opts.FS.List(c.opts.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		switch name {
		case manifestName, identityName, lockName, installName, rebuildName, logDir, segmentDir, incomingDir, coldDir,
			cacheDir:
		case damagedDir:
			c.countDamaged()
		default:
			c.stray(c.path(name))
		}
	}
	c.identity, c.hasID, err = node.ReadIdentity(c.opts.FS, c.opts.Dir)
	file := c.path(identityName)
	var refused *node.RefusedError
	switch {
	case errors.As(err, &refused):
		c.damage(KindIdentity, file, 0, "", "use the program that wrote it", "%s", refused.Reason)
	case err != nil:
		c.failed(KindIdentity, file, "", "restore the file from a backup", err)
	case !c.hasID:
		c.damage(KindIdentity, file, 0, "whose data this is", "restore the file from a backup",
			"the file is missing, and the directory holds a ledger")
	}
	c.report.NodeID, c.report.ClusterID = c.identity.NodeID, c.identity.ClusterID
	c.readNotes()
	return nil
}

// stray is a file without a place.
func (c *checker) stray(file string) {
	if strings.HasSuffix(file, ".tmp") {
		c.notice(KindLeftOver, file, "nothing: the next start removes it", "a file that was being written when a process ended")
		return
	}
	c.notice(KindForeign, file, "move it elsewhere if it is not yours to keep here", "it is not the ledger's")
}

func (c *checker) countDamaged() {
	if names, err := c.opts.FS.List(c.path(damagedDir)); err == nil && len(names) > 0 {
		c.notice(KindLeftOver, c.path(damagedDir), "delete them when they were looked at",
			"%d files that were found damaged or superseded, and have been replaced", len(names))
	}
}

// readNotes reads what a restart is told to finish.
func (c *checker) readNotes() {
	b, err := vfs.ReadFile(c.opts.FS, c.path(rebuildName), maxNoteBytes)
	switch {
	case err == nil:
		c.rebuild = true
		c.notice(KindNote, c.path(rebuildName), "start the node: it rebuilds its state from the other members",
			"the state is not to be trusted: %s", strings.TrimSpace(string(b)))
	case !errors.Is(err, fs.ErrNotExist):
		c.failed(KindUnreadable, c.path(rebuildName), "", "", err)
	}
	note, ok, err := ledger.ReadInstallation(c.opts.FS, c.opts.Dir)
	if err != nil {
		c.failed(KindManifest, c.path(installName), "", restoreByTheirOwnName, err)
	}
	if !ok || err != nil {
		return
	}
	c.noted = true
	encoded, err := vfs.ReadFile(c.opts.FS, c.path(incomingDir, manifestName), ledger.MaxSnapshotBytes)
	if err == nil && xxhash.Sum64(encoded) == note.Manifest {
		c.pending = note
		c.notice(KindNote, c.path(installName), "start the node: it finishes", "a snapshot as of raft index %d is being installed",
			note.Index)
		return
	}
	c.notice(KindNote, c.path(installName), "start the node: it makes the log begin there", "a snapshot as of raft index %d was installed",
		note.Index)
}

// readState reads the manifest: the one that a decided installation is about to put in place, or the one in place.
func (c *checker) readState() error {
	file := c.path(manifestName)
	if c.pending.Manifest != 0 {
		file = c.path(incomingDir, manifestName)
	}
	b, err := vfs.ReadFile(c.opts.FS, file, ledger.MaxSnapshotBytes)
	if errors.Is(err, fs.ErrNotExist) {
		c.state = &manifest.State{ClusterID: c.identity.LedgerID} // nothing was sealed yet, or compareLog finds a gap
		return nil
	}
	if err != nil {
		c.failed(KindManifest, file, "which segments the ledger has", restoreManifest, err)
		return nil
	}
	state, err := manifest.Decode(b)
	var at *manifest.DecodeError
	if errors.As(err, &at) {
		c.damage(KindManifest, file, at.Offset, "which segments the ledger has, and what a restart begins with", restoreManifest,
			"%s", at.Reason)
		return nil
	}
	if err != nil {
		return err
	}
	c.state = state
	c.report.Entries = state.TreeSize
	if c.hasID && state.ClusterID != c.identity.LedgerID {
		c.damage(KindManifest, file, 0, "", restoreManifest, "it belongs to ledger %s, and %s says %s", state.ClusterID,
			identityName, c.identity.LedgerID)
	}
	c.checkOpaque(file)
	return nil
}

// checkOpaque reads the parts of the manifest that its own decoder passes on.
func (c *checker) checkOpaque(file string) {
	const lost = "what a restart begins with"
	if len(c.state.Members) > 0 {
		if _, err := raft.ParseMembership(c.state.Members); err != nil {
			c.damage(KindManifest, file, 0, lost, restoreManifest, "the members in it: %v", err)
		}
	}
	if _, err := ledger.WindowSize(c.state.Idempotency); err != nil {
		c.damage(KindManifest, file, 0, lost, restoreManifest, "the idempotency window in it: %v", err)
	}
	if c.state.TreeSize == 0 {
		return
	}
	f, err := tlog.UnmarshalFrontier(c.state.Frontier)
	if err != nil {
		c.damage(KindManifest, file, 0, lost, restoreManifest, "the ledger tree's frontier in it: %v", err)
	} else if f.Size() != c.state.TreeSize {
		c.damage(KindManifest, file, 0, lost, restoreManifest, "the frontier in it is of %d entries, its segments hold %d",
			f.Size(), c.state.TreeSize)
	}
}

// checkFiles finds files of the segment and incoming directories that have no place there.
func (c *checker) checkFiles() error {
	listed := make(map[string]bool)
	for _, s := range c.segments() {
		listed[idOf(s)+segmentSuffix] = true
		if s.Object.Exists() && !c.exists(c.segmentFile(s)) {
			listed[idOf(s)+metaSuffix] = true
		}
	}
	names, err := c.opts.FS.List(c.path(segmentDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.failed(KindUnreadable, c.path(segmentDir), "", "", err)
	}
	for _, name := range names {
		switch {
		case listed[name]:
		case isMeta(name):
			c.notice(KindLeftOver, c.path(segmentDir, name), "nothing: the next start removes it",
				"the meta tail of a segment that is not in the object store alone")
		default:
			c.unlisted(name)
		}
	}
	names, err = c.opts.FS.List(c.path(incomingDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.failed(KindUnreadable, c.path(incomingDir), "", "", err)
	}
	for _, name := range names {
		id := strings.TrimSuffix(name, segmentSuffix)
		if _, _, err := tlog.ParseSegmentID(id); err == nil || isMeta(name) || name == manifestName || strings.HasSuffix(name, ".part") {
			continue
		}
		c.stray(c.path(incomingDir, name))
	}
	return nil
}

// unlisted is a file among the segments that the manifest does not list.
func (c *checker) unlisted(name string) {
	file := c.path(segmentDir, name)
	id, isSegment := strings.CutSuffix(name, segmentSuffix)
	first, last, err := tlog.ParseSegmentID(id)
	switch {
	case !isSegment || err != nil:
		c.stray(file)
	case c.state == nil: // checkUnlisted has looked at it
	case first >= c.state.TreeSize:
		c.notice(KindLeftOver, file, "nothing: the next start builds it anew from the log, if it belongs to the ledger",
			"a segment of the entries %d to %d that the manifest does not list: built, and not installed", first, last)
	case last < c.state.TreeSize:
		c.notice(KindLeftOver, file, "nothing: the listed segments hold the same entries",
			"a segment of the entries %d to %d that the manifest does not list: merged, or about to be", first, last)
	default:
		c.notice(KindForeign, file, "move it elsewhere", "a segment of the entries %d to %d, which cannot follow from the "+
			"segments that the manifest lists", first, last)
	}
}

// segmentFile is where the file of a listed segment stands, and metaFile its meta tail.
func (c *checker) segmentFile(s *manifest.Segment) string { return c.placeOf(idOf(s) + segmentSuffix) }

func (c *checker) metaFile(s *manifest.Segment) string { return c.placeOf(idOf(s) + metaSuffix) }

func (c *checker) placeOf(name string) string {
	if c.pending.Manifest != 0 { // it may not have been moved yet
		if file := c.path(incomingDir, name); c.exists(file) {
			return file
		}
	}
	return c.path(segmentDir, name)
}

func (c *checker) segments() []*manifest.Segment {
	if c.state == nil {
		return nil
	}
	out := make([]*manifest.Segment, len(c.state.Segments))
	for i := range c.state.Segments {
		out[i] = &c.state.Segments[i]
	}
	return out
}

func idOf(s *manifest.Segment) string { return tlog.SegmentID(s.FirstSeq, s.LastSeq) }
