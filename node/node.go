package node

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"sync"
	"sync/atomic"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/wal"
)

// Node is one member of the cluster. Its methods are safe for concurrent use.
type Node struct {
	opts     Options
	draw     *rand.Rand // the source of everything random, for Open
	identity *identity
	lock     io.Closer
	log      *wal.Log
	ledger   *ledger.Ledger
	metrics  *metrics

	core *raft.Core // owned by the raft loop once it runs

	// Into the raft loop.
	inbox        inbox
	queued       atomic.Int64  // proposals in the inbox or parked
	queuedBytes  atomic.Int64  // their bytes
	waitingReads atomic.Int64  // reads that are not answered yet
	wake         chan struct{} // capacity 1: mail, progress, or a want of the ledger
	progress     progress
	upkeep       chan struct{} // capacity 1, into the keeper
	compacted    atomic.Uint64 // the core does without the entries up to here; the keeper may drop them

	network atomic.Pointer[Network]
	outlook atomic.Pointer[outlook] // of the leader, as it told last; nil before
	removed atomic.Bool             // this node is no member any more
	refused atomic.Pointer[string]  // why the leader refuses this node; nil when it does not

	// State of the raft loop, touched by nobody else.
	mail      mail                   // taken from the inbox in this turn
	ticks     uint64                 // since Open
	soft      raft.SoftState         // as last handed out by the core
	leaderAt  uint64                 // the last tick in which a leader was known
	parked    []*proposal            // taken from the inbox, waiting to be proposed
	underWay  map[ledger.WantKey]any // the ledger's wants that are in the log and not applied
	forwards  forwards
	windows   windows
	reads     reads
	peers     []raft.Member // as last given to the network
	changes   changes
	intro     introductions
	roots     roots
	hold      mergeHold
	yieldAt   uint64   // the tick before which a leader without space does not try again to hand over
	firstRead *barrier // the node's own, by which it gets ready
	// promoteAt is the tick in which a leader looks next for members that have caught up.
	promoteAt uint64

	trimmer trimmer  // owned by the keeper
	tiering *tiering // nil without Options.Tier
	scrub   *scrubber

	answers   answers
	snapshots *snapshots
	damagedMu sync.Mutex
	damaged   []string    // segments found so before snapshots was there; guarded by damagedMu, as that is till then
	restoring atomic.Bool // there is no state and no core yet: they come from the other members

	writer  writer
	applier applier
	waiters waiters

	status    atomic.Pointer[raft.Status]
	spareDone sync.Pool     // channels of proposals that were answered; nobody sends to them any more
	sealing   chan struct{} // capacity 1: one explicit seal at a time
	// compacting has capacity 1: one explicit compaction at a time.
	compacting  chan struct{}
	space       space
	shortages   shortages
	rebuildFrom atomic.Uint64 // the least index that another member's state must be as of to be of use, once this one's is not
	diskFull    atomic.Bool   // the log could not get space when it last tried
	unpersist   atomic.Int64  // bytes of commands that the log writer has not made durable yet
	// proposedBytes are those of commands that the core has not handed out yet.
	proposedBytes atomic.Int64
	linearMu      sync.Mutex    // held while linear is computed
	linear        atomic.Bool   // reads of the applied state are linearizable without asking anybody
	ready         chan struct{} // closed when the node is ready for the first time
	caughtUp      atomic.Bool   // ready is closed
	stop          chan struct{}
	failed        chan struct{}
	ended         chan struct{} // closed when the node is stopped or has failed
	endOnce       sync.Once
	failure       atomic.Pointer[error]
	failOnce      sync.Once
	closeOnce     sync.Once
	closeErr      error
	goroutines    sync.WaitGroup
}

// Open starts a node on a data directory, making it what Options say when the directory is new. It returns once the
// committed log is known to be readable and the loops run; Status says when it is ready.
//
// Errors: *RefusedError, *vfs.CorruptError, vfs.ErrLocked, and what the file system returned.
func Open(opts Options) (_ *Node, err error) {
	opts = opts.withDefaults()
	n := &Node{
		opts:       opts,
		wake:       make(chan struct{}, 1),
		upkeep:     make(chan struct{}, 1),
		sealing:    make(chan struct{}, 1),
		compacting: make(chan struct{}, 1),
		underWay:   make(map[ledger.WantKey]any),
		ready:      make(chan struct{}),
		stop:       make(chan struct{}),
		failed:     make(chan struct{}),
		ended:      make(chan struct{}),
	}
	n.draw = source(&opts)
	n.status.Store(&raft.Status{ID: opts.NodeID})
	n.network.Store(&opts.Network)
	n.writer.poke = make(chan struct{}, 1)
	n.applier.poke = make(chan struct{}, 1)
	if err := opts.FS.MkdirAll(opts.Dir); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if n.lock, err = opts.FS.Lock(path.Join(opts.Dir, "LOCK")); err != nil {
		return nil, err
	}
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.release())
	}
	if !opts.Manual {
		n.start()
	}
	return n, nil
}

func (n *Node) start() {
	n.goroutines.Add(2)
	go n.runFetcher()
	go n.runServer()
	if !n.restoring.Load() { // else the fetcher starts them
		n.startLoops()
	}
}

func (n *Node) startLoops() {
	if n.tiering != nil {
		n.goroutines.Add(1)
		go n.runTier()
	}
	n.goroutines.Add(5)
	go n.runScrub()
	go n.runLoop()
	go n.runWriter()
	go n.runApplier()
	go n.runKeeper()
}

// Ledger is the applied state, for reads.
func (n *Node) Ledger() *ledger.Ledger { return n.ledger }

// Ready is closed once the node has a leader and has caught up with it, for the first time since Open.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Failed is closed when the node has met an error that it must not go on after; Err says which.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// Err is why the node failed; nil while it works.
func (n *Node) Err() error {
	if p := n.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// fail ends the node's work. The first call counts.
func (n *Node) fail(err error) {
	n.failOnce.Do(func() {
		n.failure.Store(&err)
		n.updateLinear()
		n.opts.Logger.Error("this node stops serving", "error", err)
		n.giveUp(err)
		close(n.failed)
		n.end()
		n.waiters.drop(&Unavailable{Reason: OutcomeUnknown, Detail: "the node failed before the write was confirmed"})
	})
}

// end tells all who wait for something that it may not come.
func (n *Node) end() {
	n.endOnce.Do(func() {
		close(n.ended)
		n.tiering.end()
		n.scrub.end()
	})
}

// Close ends the loops, waits for them, and closes the log and the ledger. Writes that are under way get OutcomeUnknown;
// for a clean end the caller stops sending first.
func (n *Node) Close() error {
	n.closeOnce.Do(func() {
		close(n.stop)
		n.end()
		if n.ledger != nil {
			n.ledger.Interrupt() // else the apply loop could be waiting for the object store
		}
		n.goroutines.Wait()
		n.linear.Store(false)
		n.waiters.drop(&Unavailable{Reason: OutcomeUnknown, Detail: "the node was stopped before the write was confirmed"})
		n.closeErr = n.release()
	})
	return n.closeErr
}

// release closes whatever is open, the lock last.
func (n *Node) release() error {
	var errs []error
	if n.metrics != nil {
		n.metrics.unregister()
	}
	if n.snapshots != nil {
		n.snapshots.close()
	}
	if n.scrub != nil {
		n.scrub.close()
	}
	if n.ledger != nil {
		errs = append(errs, n.ledger.Close())
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}
