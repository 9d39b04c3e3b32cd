package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// Options of Check. Zero fields mean the default named beside them.
type Options struct {
	FS  vfs.FS
	Dir string // the data directory

	// Progress is told how many of how many bytes were looked at. Default nobody.
	Progress func(done, total int64)
	// WindowEntries is of how many entries leaf hashes are held at once, at 40 bytes each. Default 2 Mi.
	WindowEntries uint64
	// CacheBytes is how much of segments is cached while one is checked. Default 32 MiB.
	CacheBytes int64
}

// ErrNoDirectory says that a directory holds nothing of a ledger.
var ErrNoDirectory = errors.New("fsck: it is no data directory: it has neither IDENTITY nor MANIFEST nor a log")

const (
	manifestName  = "MANIFEST"
	identityName  = "IDENTITY"
	lockName      = "LOCK"
	installName   = "INSTALL"
	rebuildName   = "REBUILD"
	logDir        = "wal"
	segmentDir    = "segments"
	incomingDir   = "incoming"
	damagedDir    = "damaged"
	coldDir       = "cold"  // the object store of a node that was told of none
	cacheDir      = "cache" // what was read of an object store
	segmentSuffix = ".seg"
	metaSuffix    = ".meta"
	maxNoteBytes  = 64 << 10
)

// checker is one run.
type checker struct {
	ctx    context.Context
	opts   Options
	report *Report
	cache  *sstable.BlockCache

	identity node.Identity
	hasID    bool
	pending  ledger.Installation // of a snapshot; Manifest 0 when there is none to be finished
	noted    bool                // an installation was noted, to be finished or finished
	rebuild  bool                // the state is noted to be rebuilt
	state    *manifest.State     // nil when it cannot be read; the empty one when there is none
	log      *wal.Inspection     // nil when there is none
	commands commands
	tree     *treeCheck
	window   window
	records  recordCheck
	advice   advice
	places   places
	part     func(offset int64) string // names a part of the segment being checked; nil between segments
	guard    sync.Locker               // held while the report and the progress change; nil where one goroutine does that

	done, total int64
}

// advice is what to do about damage, where it depends on what is checked.
type advice struct{ segment, manifest, all string }

// places are the names that findings about more than one file go by.
type places struct{ manifest, segments, log string }

// Check reads a data directory. Its error says that it could not be looked at at all, or is the context's; everything
// else is in the report.
func Check(ctx context.Context, opts Options) (*Report, error) {
	c := newChecker(ctx, opts)
	names, err := c.opts.FS.List(c.opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("fsck: %w", err)
	}
	if !holdsLedger(names) {
		return nil, fmt.Errorf("%w: %s", ErrNoDirectory, c.opts.Dir)
	}
	if err := c.run(); err != nil {
		return nil, err
	}
	return c.report, nil
}

func newChecker(ctx context.Context, opts Options) *checker {
	if opts.WindowEntries == 0 {
		opts.WindowEntries = 2 << 20
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = 32 << 20
	}
	if opts.Dir = strings.TrimRight(opts.Dir, "/"); opts.Dir == "" {
		opts.Dir = "/"
	}
	c := &checker{ctx: ctx, opts: opts, cache: sstable.NewBlockCache(opts.CacheBytes),
		report: &Report{Dir: opts.Dir, Findings: []Finding{}},
		advice: advice{segment: restoreSegment, manifest: restoreManifest, all: restoreByTheirOwnName}}
	c.places = places{manifest: c.path(manifestName), segments: c.path(segmentDir), log: c.path(logDir)}
	return c
}

func (c *checker) run() error {
	for _, step := range []func() error{c.checkDirectory, c.readState, c.measure, c.checkLog, c.checkSegments,
		c.checkFiles, c.compareLog} {
		if err := step(); err != nil {
			return err
		}
	}
	c.report.Checked.Bytes = c.done
	c.report.Clean = c.report.Damaged == 0 && c.report.Unread == 0
	return nil
}

func holdsLedger(names []string) bool {
	for _, name := range names {
		switch name {
		case manifestName, identityName, logDir, segmentDir:
			return true
		}
	}
	return false
}

// measure finds out how much there is to read.
func (c *checker) measure() error {
	for _, s := range c.segments() {
		if info, err := c.opts.FS.Stat(c.segmentFile(s)); err == nil {
			c.total += info.Size
		}
	}
	names, err := c.opts.FS.List(c.path(logDir))
	if err != nil {
		return nil // checkLog says so
	}
	for _, name := range names {
		if info, err := c.opts.FS.Stat(c.path(logDir, name)); err == nil && strings.HasSuffix(name, ".log") &&
			!strings.HasPrefix(name, "spare") {
			c.total += info.Size
		}
	}
	return nil
}

// advance moves the progress on.
func (c *checker) advance(bytes int64) {
	defer c.hold()()
	c.done += bytes
	if c.opts.Progress != nil {
		c.opts.Progress(min(c.done, c.total), c.total)
	}
}

func (c *checker) exists(file string) bool {
	_, err := c.opts.FS.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}
