package readonly

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/tier"
)

// Options of Open. Zero fields mean the default named beside them.
type Options struct {
	// Interval is the time between two looks for a newer publication. Default 30 s; negative: only Refresh looks.
	Interval time.Duration
	// Ranges reads the segments. It stays the caller's, who closes it after the Archive. Default one of its own.
	Ranges *tier.Ranges
	// ReadTimeout bounds the read of a tile, and of a range without Ranges. Default 10 s.
	ReadTimeout time.Duration
	// BlockCacheBytes bounds the decoded blocks in memory. Default 64 MiB; negative: none.
	BlockCacheBytes int64
	// After is the clock of the goroutine. Default time.After.
	After      func(time.Duration) <-chan time.Time
	Now        func() time.Time      // default time.Now
	Logger     *slog.Logger          // default discards
	Registerer prometheus.Registerer // default none
}

const defaultInterval = 30 * time.Second

// Archive is a ledger as it was published last. It has the methods of an httpapi.Backend. All are safe for concurrent
// use.
type Archive struct {
	store   tier.Store
	opts    Options
	ranges  *tier.Ranges
	metrics *metrics

	current atomic.Pointer[edition] // never nil
	trouble atomic.Pointer[trouble] // why the last look failed; nil when it did not

	looking sync.Mutex     // held through Refresh
	latest  archive.Latest // what names the current edition; guarded by looking

	ctx    context.Context // ended by Close
	cancel context.CancelFunc
	follow sync.WaitGroup
	once   sync.Once
}

// trouble is a look that failed.
type trouble struct {
	since time.Time // of the first one in a row
	err   error
}

// ErrContradiction says that what is published now does not continue what was published before.
var ErrContradiction = errors.New("readonly: the archive contradicts what it published before")

// Open reads what is published in the store, opens and verifies it. Errors are those of package archive and of the
// store, and a *vfs.CorruptError for damage.
func Open(ctx context.Context, store tier.Store, opts Options) (*Archive, error) {
	opts.Interval = cmp.Or(opts.Interval, defaultInterval)
	if opts.After == nil {
		opts.After = time.After
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	opts.ReadTimeout = cmp.Or(opts.ReadTimeout, 10*time.Second)
	a := &Archive{store: store, opts: opts, ranges: opts.Ranges}
	if a.ranges == nil {
		a.ranges = tier.NewRanges(store, tier.RangesOptions{Deadline: opts.ReadTimeout, Registerer: opts.Registerer})
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	if _, err := a.refresh(ctx); err != nil {
		a.cancel()
		return nil, errors.Join(err, a.endReads())
	}
	a.metrics = newMetrics(a, opts.Registerer)
	if opts.Interval > 0 {
		a.follow.Go(a.run)
	}
	return a, nil
}

// Close ends all reads and lets everything go.
func (a *Archive) Close() error {
	var err error
	a.once.Do(func() {
		a.cancel()
		a.follow.Wait()
		a.looking.Lock()
		defer a.looking.Unlock()
		err = errors.Join(a.current.Load().ledger.Close(), a.endReads())
		a.metrics.unregister()
	})
	return err
}

// endReads ends those of Ranges, unless it is the caller's.
func (a *Archive) endReads() error {
	if a.ranges == a.opts.Ranges {
		return nil
	}
	return a.ranges.Close()
}

// Published is what is served: whose ledger it is, and the checkpoint as it was published.
func (a *Archive) Published() *archive.Published { return a.current.Load().Published }

// Store is the name of the store.
func (a *Archive) Store() string { return a.store.Name() }

// run looks for publications until Close.
func (a *Archive) run() {
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-a.opts.After(a.opts.Interval):
		}
		if _, err := a.Refresh(a.ctx); err != nil && a.ctx.Err() == nil {
			a.opts.Logger.Warn("what is published now cannot be served; what was is served on", "error", err)
		}
	}
}

// Refresh looks for a newer publication and serves it. It says whether there was one. On an error what was served is
// served on.
func (a *Archive) Refresh(ctx context.Context) (bool, error) {
	a.looking.Lock()
	defer a.looking.Unlock()
	if a.ctx.Err() != nil {
		return false, errClosed
	}
	changed, err := a.refresh(ctx)
	a.metrics.looked(err)
	switch before := a.trouble.Load(); {
	case err == nil:
		a.trouble.Store(nil)
	case before != nil:
		a.trouble.Store(&trouble{since: before.since, err: err})
	default:
		a.trouble.Store(&trouble{since: a.opts.Now(), err: err})
	}
	return changed, err
}

var errClosed = errors.New("readonly: closed")

func (a *Archive) refresh(ctx context.Context) (bool, error) {
	latest, err := archive.ReadLatest(ctx, a.store)
	if err != nil {
		return false, err
	}
	before := a.current.Load() // nil at the beginning
	if before != nil && latest == a.latest {
		return false, nil
	}
	e, err := a.open(ctx, latest, before)
	if err != nil {
		return false, err
	}
	a.latest = latest
	a.current.Store(e)
	if before == nil {
		return true, nil
	}
	a.opts.Logger.Info("a newer publication is served", "manifest", e.Name, "entries", e.Checkpoint.Size,
		"root", e.Checkpoint.Root)
	return true, before.ledger.Close() // who reads from it goes on, or asks again
}

// continues says whether a later edition has the entries of an earlier one.
func (e *edition) continues(before *edition) error {
	old, now := before.Checkpoint, e.Checkpoint
	contradiction := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s, after %s: %s", ErrContradiction, e.Name, before.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case e.Identity != before.Identity:
		return contradiction("it is of ledger %s, %s was served", e.Identity.LedgerID, before.Identity.LedgerID)
	case now.Origin != old.Origin:
		return contradiction("its checkpoint is of %q, that of %q was served", now.Origin, old.Origin)
	case now.Size < old.Size:
		return contradiction("it has %d entries, %d were served", now.Size, old.Size)
	}
	root, _, _, err := e.ledger.Consistency(old.Size, now.Size)
	if err == nil && root != old.Root {
		err = contradiction("its first %d entries have the root %s, not %s", old.Size, root, old.Root)
	}
	return err
}
