package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// Options of Open. Zero fields mean the default named beside them; FS, Dir and ClusterID have none.
type Options struct {
	FS        vfs.FS
	Dir       string // the ledger's directory: MANIFEST and segments/
	ClusterID string // of the data; a manifest of another cluster is refused

	Origin          string              // first line of checkpoints; default "scribe/" + ClusterID
	SealBytes       int64               // memtable bytes at which a seal is wanted; default 64 MiB
	SealAge         time.Duration       // age of the oldest put or delete at which a seal is wanted; default 5 min, negative never
	MaxSealed       int                 // sealed memtables waiting for their flush before writes are refused; default 4
	BlockCacheBytes int64               // decoded segment blocks kept in memory; default 64 MiB, negative none
	BlockBytes      int                 // of a segment's data blocks before compression; default 16 KiB
	Compression     segfile.Compression // of segment blocks

	// CompactFanIn is the fewest neighbouring segments that are merged into one, of at most 64, four times as many while
	// writes come fast; default 4, negative merges nothing by itself. CompactMaxBytes bounds the segment that is made;
	// default 16 GiB.
	// CompactBytesPerSecond bounds how fast it is written; default 64 MiB, negative is no bound.
	CompactFanIn          int
	CompactMaxBytes       int64
	CompactBytesPerSecond int64

	// CheckEvery is how many entries lie between two agreed ledger roots (RootCheck); default 65,536. The same on all
	// members, or their reports never meet.
	CheckEvery uint64

	// Cold is the object store; nil is none, and then no segment may be there only.
	Cold Cold
	// ColdTimeout bounds how long the meta tail of a segment may take to come from it; default 2 min.
	ColdTimeout time.Duration
	// RemoteMeta is for readers of an archive, which have a manifest and no other file: meta tails are read from Cold as
	// well, by range. Nothing is written to Dir.
	RemoteMeta bool
	// Earlier is a ledger with RemoteMeta over an earlier state of the same archive. Open takes over which segments it has
	// open and its cache, and does not close it.
	Earlier *Ledger
	// Leaves gives the leaf hashes of the entries first, first+1, … from elsewhere than from segments, where reading those
	// of neighbouring seqs takes a request each. first begins a tile of the ledger tree, and dst is as long as the tile. It
	// is not trusted, and may fail. Default none.
	Leaves func(first uint64, dst []merkle.Hash) error

	// Notify is called, from the flusher, when Wanted or Installed may have changed. It must not block.
	Notify func()
	// Damaged is told of damage that a read, Apply or a flush has met, once for each file: a *vfs.CorruptError. It must
	// not block, and may be called from any goroutine.
	Damaged func(error)
	// ObjectDamaged is told of damage of an object, or of the meta tail kept of it, each time that one of them has met it:
	// an error with a *vfs.CorruptError in it. It must not block either.
	ObjectDamaged func(error)
	// Superseded is asked while ApplyBatch waits for the store: true makes it return, as it does with Manual, since what is to
	// be applied will be passed over. nil: never.
	Superseded func() bool
	// Rebuild opens the ledger empty, whatever the manifest says: it answers ErrRebuilding until Install gives it the
	// state of another member.
	Rebuild bool
	// Manual leaves flushing and compaction to the owner, who calls FlushStep and CompactStep; no goroutine is started.
	Manual bool

	// idempotencyWindow is smaller in tests. Not for configuration: all replicas must forget alike.
	idempotencyWindow int

	Now        func() time.Time                     // default time.Now
	After      func(time.Duration) <-chan time.Time // default time.After
	Logger     *slog.Logger                         // default discards
	Registerer prometheus.Registerer                // default none
}

// defaultFanIn is Options.CompactFanIn's default.
const defaultFanIn = 4

func (o Options) withDefaults() Options {
	if o.Origin == "" {
		o.Origin = "scribe/" + o.ClusterID
	}
	if o.SealBytes == 0 {
		o.SealBytes = 64 << 20
	}
	if o.SealAge == 0 {
		o.SealAge = 5 * time.Minute
	}
	if o.MaxSealed == 0 {
		o.MaxSealed = 4
	}
	if o.BlockCacheBytes == 0 {
		o.BlockCacheBytes = 64 << 20
	}
	if o.CompactFanIn == 0 {
		o.CompactFanIn = defaultFanIn
	}
	if o.CompactMaxBytes == 0 {
		o.CompactMaxBytes = 16 << 30
	}
	if o.CompactBytesPerSecond == 0 {
		o.CompactBytesPerSecond = 64 << 20
	}
	if o.CheckEvery == 0 {
		o.CheckEvery = 65_536
	}
	if o.ColdTimeout == 0 {
		o.ColdTimeout = 2 * time.Minute
	}
	if o.idempotencyWindow == 0 {
		o.idempotencyWindow = idempotencyWindow
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Ledger is the state machine. See the package comment for who may call what.
type Ledger struct {
	opts    Options
	cache   *sstable.BlockCache
	metrics *metrics
	tree    atomic.Pointer[tlog.Tree] // replaced by Install only

	// State of the apply loop, touched by nobody else.
	active        *memtable
	next          uint64 // seq of the next entry
	lastTime      int64  // of the last entry, microseconds
	sealedThrough uint64 // entries below are in sealed memtables or segments
	memory        *memory
	members       []byte

	// partition is what the log says of segments. The apply loop replaces it.
	partition atomic.Pointer[partition]
	command   command // the one that is being applied; the apply loop's
	pending   pending // the apply loop's

	applied   atomic.Uint64 // raft index of the last applied command
	published atomic.Uint64 // next, as readers see it
	current   atomic.Pointer[view]
	swapMu    sync.Mutex  // held while a new view takes the current one's place, and while closed is set
	closed    atomic.Bool // the current view is the last one, and nobody takes it up any more
	absent    atomic.Bool // there is no state yet: Options.Rebuild, before Install

	checks  checks
	damage  damage
	stuck   atomic.Pointer[stuckApply] // nil: ApplyBatch waits for nothing that may not come
	flushes sync.Mutex                 // held while segments' files and the manifest change places; taken before flushMu and swapMu

	compacts sync.Mutex // held through CompactStep; taken before flushes
	plans    plans
	pace     pace

	failedMerge manifest.Range // the last one that failed; guarded by compacts
	leftovers   leftovers
	moving      sync.Mutex // held through Evict and Fetch; taken before flushes

	flushMu   sync.Mutex    // guards the flush fields of every sealed memtable, the errors of the workers, and:
	installed uint64        // entries below are in segments that the manifest on disk lists
	merged    []*merged     // built, and not installed; oldest first
	changed   chan struct{} // closed and replaced when one of these, or the partition, changes

	flusher   *worker
	compactor *worker
	stop      chan struct{}
	closing   context.Context // ends with Interrupt, at the latest when stop is closed
	shut      context.CancelFunc
	closeOnce sync.Once
}

// Open opens the ledger in a directory, which it makes if need be: the manifest, its segments, the ledger tree. The
// entries since the last recorded seal are not there yet: the caller applies the committed log from AppliedIndex()+1.
//
// Damage is a *vfs.CorruptError that names the file. A segment that the manifest lists and that is not there is one too.
func Open(opts Options) (*Ledger, error) {
	opts = opts.withDefaults()
	l := &Ledger{
		opts:    opts,
		cache:   cacheFor(opts),
		changed: make(chan struct{}),
		stop:    make(chan struct{}),
	}
	l.closing, l.shut = context.WithCancel(context.Background())
	l.flusher, l.compactor = l.newFlusher(), l.newCompactor()
	if err := opts.FS.MkdirAll(l.segmentDir()); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := l.removeTemporary(); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	// A manifest that an earlier process put in place and did not live to sync must not be undone by a power cut once the
	// log is trimmed on the strength of it.
	if err := opts.FS.SyncDir(opts.Dir); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := l.finishInstall(); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := l.restore(); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l.metrics = newMetrics(l, opts.Registerer)
	if opts.Manual {
		close(l.flusher.done)
		close(l.compactor.done)
	} else {
		go l.flusher.run(l.metrics.flushFailures)
		// Not vfs.Background: a merge runs whenever there is writing, and a thread of low priority that holds a processor
		// of the Go runtime keeps the writers from it until the system lets it run. Merges step aside by mergeYield.
		go l.compactor.run(l.metrics.compactFailures)
	}
	return l, nil
}

// Close stops the flusher and the compactor, and lets the segments go once the last reader has. What is not flushed
// stays in the log. An iterator that was made before goes on; other reads, Apply and FlushStep give ErrClosed.
func (l *Ledger) Close() error {
	l.closeOnce.Do(func() {
		close(l.stop)
		l.shut()
		<-l.flusher.done
		<-l.compactor.done
		l.metrics.unregister()
		l.swapMu.Lock()
		defer l.swapMu.Unlock()
		l.closed.Store(true)
		last := l.current.Load()
		l.dropBuilt(last)
		l.dropMerged()
		last.release()
	})
	return nil
}

// AppliedIndex is the raft index of the last command the state holds: after Open, that of the last recorded seal.
func (l *Ledger) AppliedIndex() uint64 { return l.applied.Load() }

// SealPoint is the raft position, and the membership, that the manifest on disk holds: the snapshot of this state machine.
func (l *Ledger) SealPoint() (index, term uint64, members []byte) {
	v := l.peek()
	return v.state.AppliedIndex, v.state.AppliedTerm, v.state.Members
}

func (l *Ledger) segmentDir() string { return path.Join(l.opts.Dir, "segments") }

func (l *Ledger) segmentFile(id string) string { return path.Join(l.segmentDir(), id+segmentSuffix) }

// removeTemporary takes away what a crash left half-written. Segments that are complete but not in the manifest are
// another matter: of memtables, the replay seals the same entries again and builds the same file over them; of merges,
// see removeMerged.
func (l *Ledger) removeTemporary() error {
	for _, dir := range []string{l.opts.Dir, l.segmentDir()} {
		names, err := l.opts.FS.List(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if strings.HasSuffix(name, temporarySuffix) {
				if err := l.opts.FS.Remove(path.Join(dir, name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
