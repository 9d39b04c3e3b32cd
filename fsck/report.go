package fsck

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/scribe-ledger/scribe/vfs"
)

// Severity says how bad a finding is.
type Severity string

const (
	// Damage is a loss, or something that a node would refuse or serve wrongly.
	Damage Severity = "damage"
	// Unreadable is what the operating system did not let be read: nothing is known of it.
	Unreadable Severity = "unreadable"
	// Notice is worth knowing, and no harm.
	Notice Severity = "notice"
)

// Kinds of findings. They are names for programs and do not change.
const (
	KindIdentity          = "identity"        // IDENTITY is missing, damaged, or another node's
	KindManifest          = "manifest"        // MANIFEST is missing or damaged, or does not fit its own parts
	KindSegmentMissing    = "segment_missing" // listed, and not there
	KindSegmentSize       = "segment_size"    // its length is not the manifest's
	KindSegmentDamaged    = "segment_damaged" // bytes that fail, or do not fit together
	KindSegmentWrong      = "segment_wrong"   // whole, but not what the manifest says
	KindSegmentRecord     = "segment_record"  // the ledger's own record says something else
	KindLedgerTree        = "ledger_tree"     // nodes or roots of the whole ledger do not fit the entries
	KindLog               = "log"             // a log file is damaged, missing or another's
	KindLogEntry          = "log_entry"       // an entry of the log holds no command
	KindLogGap            = "log_gap"         // the log does not go on where the manifest ends
	KindNotChecked        = "not_checked"     // because of another finding
	KindForeign           = "foreign"         // a file that is not the ledger's
	KindLeftOver          = "left_over"       // a file that a crash left, or that nothing needs any more
	KindNote              = "note"            // something that the next start will do
	KindUnreadable        = "unreadable"      // could not be read
	KindSegmentHash       = "segment_hash"    // of an object: its entries are right, its SHA-256 is not the manifest's
	KindPointer           = "pointer"         // what names the newest publication is missing or damaged
	KindStale             = "stale"           // it names an older one than there is
	KindCheckpoint        = "checkpoint"      // a checkpoint is missing, damaged, or not that of the entries
	KindTile              = "tile"            // a tile of the ledger tree is missing, or not that of the entries
	maxFindings           = 1000
	restoreSegment        = "start the node, if it is a member of a cluster: it replaces the file by itself; else restore the file of the same name from a backup: segments never change"
	restoreLog            = "restore the file from a backup of this very node; in a cluster, remove the member and join it anew with an empty directory; never delete it"
	restoreManifest       = "restore the file from a backup; in a cluster, remove the member and join it anew with an empty directory"
	restoreByTheirOwnName = "restore the whole directory from a backup; in a cluster, remove the member and join it anew with an empty directory"
)

// Finding is one thing that was found.
type Finding struct {
	Severity Severity `json:"severity"`
	Kind     string   `json:"kind"`
	File     string   `json:"file"` // below the data directory, or the object's name
	Offset   int64    `json:"offset"`
	Section  string   `json:"section,omitempty"` // part of a segment's file that the offset is in
	Problem  string   `json:"problem"`
	Lost     string   `json:"lost,omitempty"` // what cannot be read any more; empty when nothing is known to be lost
	Do       string   `json:"do,omitempty"`
}

// Report is what a check came to.
type Report struct {
	Dir       string        `json:"dir"`
	Clean     bool          `json:"clean"` // no damage, and nothing that could not be read
	Damaged   int           `json:"damage"`
	Notices   int           `json:"notices"`
	Unread    int           `json:"unreadable"`
	Omitted   int           `json:"omitted"` // findings beyond the first 1,000, which are counted only
	NodeID    uint64        `json:"node_id"`
	ClusterID string        `json:"cluster_id"`
	Entries   uint64        `json:"entries"`        // in segments
	Root      string        `json:"root,omitempty"` // of the ledger tree over them, computed from the entries; empty when it could not be
	Checked   Checked       `json:"checked"`
	Log       LogState      `json:"log"`
	Archive   *ArchiveState `json:"archive,omitempty"` // of a check of a bucket
	Findings  []Finding     `json:"findings"`
}

// ArchiveState is what a bucket holds.
type ArchiveState struct {
	Objects        int    `json:"objects"`
	Origin         string `json:"origin,omitempty"`
	Version        uint64 `json:"version"`            // of the publication, 0 when it is not known
	Manifest       string `json:"manifest,omitempty"` // that was gone by
	Manifests      int    `json:"manifests"`          // that were read
	Checkpoints    int    `json:"checkpoints"`
	CheckpointSize uint64 `json:"checkpoint_size"` // of the newest one
	CheckpointRoot string `json:"checkpoint_root,omitempty"`
}

// Checked counts what was looked at.
type Checked struct {
	Segments   int    `json:"segments"`
	LogFiles   int    `json:"log_files"`
	Entries    uint64 `json:"entries"` // of segments, read whole and hashed again
	LogEntries uint64 `json:"log_entries"`
	Tiles      int    `json:"tiles,omitempty"` // of a bucket
	Bytes      int64  `json:"bytes"`
}

// LogState is what the log holds.
type LogState struct {
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Term   uint64 `json:"term"`
	Commit uint64 `json:"commit"`
	Tail   string `json:"tail"` // clean, old bytes, torn; none of them is damage
}

// hold takes the lock on what several goroutines change, if there are several.
func (c *checker) hold() (release func()) {
	if c.guard == nil {
		return func() {}
	}
	c.guard.Lock()
	return c.guard.Unlock
}

func (c *checker) add(f Finding) {
	defer c.hold()()
	r := c.report
	switch f.Severity {
	case Damage:
		r.Damaged++
	case Unreadable:
		r.Unread++
	default:
		r.Notices++
	}
	if len(r.Findings) == maxFindings {
		r.Omitted++
		return
	}
	f.File = c.relative(f.File)
	f.Problem = strings.ReplaceAll(f.Problem, c.opts.Dir+"/", "")
	r.Findings = append(r.Findings, f)
}

func (c *checker) damage(kind, file string, offset int64, lost, do, problem string, args ...any) {
	f := Finding{Severity: Damage, Kind: kind, File: file, Offset: offset, Problem: fmt.Sprintf(problem, args...), Lost: lost, Do: do}
	if kind == KindSegmentDamaged && c.part != nil { // in this order: tiles are checked by other goroutines
		f.Section = c.part(offset)
	}
	c.add(f)
}

func (c *checker) notice(kind, file, do, problem string, args ...any) {
	c.add(Finding{Severity: Notice, Kind: kind, File: file, Problem: fmt.Sprintf(problem, args...), Do: do})
}

// failed adds an error of reading file: damage of that kind, or that it could not be read.
func (c *checker) failed(kind, file, lost, do string, err error) {
	var corrupt *vfs.CorruptError
	if errors.As(err, &corrupt) {
		c.damage(kind, file, corrupt.Offset, lost, do, "%s", corrupt.Reason)
		return
	}
	c.add(Finding{Severity: Unreadable, Kind: KindUnreadable, File: file, Problem: err.Error(),
		Do: "look at permissions and at the kernel's log for errors of the disk, then check again"})
}

func (c *checker) relative(file string) string {
	if rest, ok := strings.CutPrefix(file, c.opts.Dir+"/"); ok {
		return rest
	}
	return file
}

func (c *checker) path(parts ...string) string {
	return path.Join(append([]string{c.opts.Dir}, parts...)...)
}
