package tier

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/vfs"
)

// RangeCacheOptions are the settings of a RangeCache. Zero values mean the defaults given.
type RangeCacheOptions struct {
	FS  vfs.FS // required
	Dir string // required; made if need be, and used by nothing else
	// MaxBytes bounds the files, and with them the disk space taken. Default 1 GiB, at least 1 MiB.
	MaxBytes int64
	// MaxRanges bounds the index in memory, about 150 bytes each. Default 262,144.
	MaxRanges int
	// ReserveBytes says how much of the disk must stay free: the cache does not grow into it, and gives way to it as it
	// takes in what is new. nil: nothing is reserved.
	ReserveBytes func() int64
	Now          func() time.Time // nil: time.Now
	Logger       *slog.Logger     // nil: none
	Registerer   prometheus.Registerer
}

// RangeCache keeps ranges of objects in files, bounded by bytes, so that what is read often is read from the disk. A
// range is taken in at its second request of late. It goes in the order in which it came, but once more to the front if
// it was used meanwhile. What it gives was verified as it was read from the disk; what fails is forgotten. It is safe
// for concurrent use. Nothing of it is ever needed: an error of the disk, or a full one, only makes it keep less. A nil
// RangeCache keeps nothing.
//
// It starts no goroutines.
type RangeCache struct {
	opts      RangeCacheOptions
	fileBytes int64
	metrics   *cacheMetrics

	// writing is held by the one who adds a range; others do not wait for it, they add nothing. It guards scratch and
	// is taken before mu.
	writing sync.Mutex
	scratch []byte

	mu     sync.Mutex
	index  map[cacheID]*cachedRange // guarded by mu, as is all below
	files  []*cacheFile             // oldest first; the last one is being written unless it is finished
	next   uint64                   // number of the next file
	bytes  int64                    // of all files, as far as space is taken for them
	known  doorkeeper
	paused time.Time // nothing is taken in before, because the disk failed or is full
	closed bool
}

// cachedRange is a range in the cache.
type cachedRange struct {
	file *cacheFile
	at   uint32
	used bool // since it was written; guarded by RangeCache.mu
}

// cacheFile is one file. It is closed and removed with its last reader.
type cacheFile struct {
	file   vfs.File
	name   string
	places []cachePlace // guarded by RangeCache.writing while it is written, then not changed
	end    int64        // of its records; as places
	taken  int64        // what counts for it in RangeCache.bytes; guarded by RangeCache.mu

	finished bool // guarded by RangeCache.mu, as is all below
	readers  int
	doomed   bool // remove it with the last reader
}

const (
	cacheFiles     = 32 // that the space is divided into
	maxCacheFile   = 32 << 20
	minCacheFile   = 64 << 10
	cacheShareOf   = 2 // a range takes at most that part of a file
	cachePause     = 10 * time.Second
	maxCacheListed = 1 << 16
)

// OpenRangeCache returns the cache in a directory, with what an earlier one left there, as far as it is whole.
func OpenRangeCache(opts RangeCacheOptions) (*RangeCache, error) {
	opts.MaxBytes = max(cmp.Or(opts.MaxBytes, 1<<30), 1<<20)
	opts.MaxRanges = cmp.Or(opts.MaxRanges, 256<<10)
	if opts.ReserveBytes == nil {
		opts.ReserveBytes = func() int64 { return 0 }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := opts.FS.MkdirAll(opts.Dir); err != nil {
		return nil, fmt.Errorf("tier: make the cache of ranges: %w", err)
	}
	c := &RangeCache{opts: opts, index: make(map[cacheID]*cachedRange),
		fileBytes: min(max(opts.MaxBytes/cacheFiles, minCacheFile), maxCacheFile)}
	if err := c.load(); err != nil {
		return nil, err
	}
	c.metrics = newCacheMetrics(c, opts.Registerer)
	return c, nil
}

// Get fills p with the bytes of o from off on, if it has them.
func (c *RangeCache) Get(o *SealedObject, p []byte, off int64) bool {
	if c == nil {
		return false
	}
	id := cacheIDOf(o, off, len(p))
	c.mu.Lock()
	r := c.index[id]
	if r == nil || c.closed {
		c.mu.Unlock()
		c.metrics.misses.Inc()
		return false
	}
	r.used = true
	r.file.readers++
	c.mu.Unlock()
	ok := r.read(id, p)
	c.mu.Lock()
	if !ok && c.index[id] == r {
		delete(c.index, id)
	}
	c.release(r.file)
	c.mu.Unlock()
	if !ok {
		c.metrics.misses.Inc()
		c.metrics.errors.Inc()
		c.opts.Logger.Warn("a cached range cannot be read or is damaged, and was dropped",
			"file", r.file.name, "offset", r.at)
		return false
	}
	c.metrics.hits.Inc()
	return true
}

// read fills p with the range, and verifies it.
func (r *cachedRange) read(id cacheID, p []byte) bool {
	record := make([]byte, cacheRecordLen+len(p))
	if n, _ := r.file.file.ReadAt(record, int64(r.at)); n != len(record) {
		return false
	}
	data, ok := verifyCacheRecord(record, id, r.at)
	copy(p, data)
	return ok
}

// Drop forgets a range.
func (c *RangeCache) Drop(o *SealedObject, off int64, n int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.index, cacheIDOf(o, off, n))
}

// Offer gives the cache a range that was just read from the store. It takes it in if it was offered before of late.
func (c *RangeCache) Offer(o *SealedObject, data []byte, off int64) {
	if c == nil || len(data) == 0 || int64(len(data)) > c.fileBytes/cacheShareOf {
		return
	}
	id := cacheIDOf(o, off, len(data))
	c.mu.Lock()
	known := c.known.seen(id.hash())
	_, here := c.index[id]
	refuse := !known || here || c.closed || c.opts.Now().Before(c.paused)
	c.mu.Unlock()
	if refuse || !c.writing.TryLock() {
		return
	}
	defer c.writing.Unlock()
	if err := c.add(id, data); err != nil {
		c.pause(err)
	}
}

// pause stops taking in ranges for a while.
func (c *RangeCache) pause(err error) {
	c.mu.Lock()
	c.paused = c.opts.Now().Add(cachePause)
	c.mu.Unlock()
	if vfs.IsNoSpace(err) {
		c.metrics.full.Inc()
		c.opts.Logger.Info("the cache of ranges does not grow", "reason", err)
		return
	}
	c.metrics.errors.Inc()
	c.opts.Logger.Warn("the cache of ranges cannot be written", "error", err)
}

// Close finishes the file being written, so that the next one finds it, and closes all.
func (c *RangeCache) Close() error {
	if c == nil {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	err := c.finish()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.files {
		if f.readers == 0 {
			err = errors.Join(err, f.file.Close())
		}
		f.doomed = false // a reader that is left only closes it
	}
	c.metrics.close()
	return err
}

// release gives back a file that was read. The caller holds mu.
func (c *RangeCache) release(f *cacheFile) {
	if f.readers--; f.readers > 0 {
		return
	}
	if f.doomed || c.closed {
		c.discard(f, f.doomed)
	}
}

// discard closes a file, and removes it if it is not to be found again. The caller holds mu.
func (c *RangeCache) discard(f *cacheFile, remove bool) {
	err := f.file.Close()
	if remove {
		if rerr := c.opts.FS.Remove(f.name); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		c.bytes -= f.taken
	}
	if err != nil {
		c.metrics.errors.Inc()
		c.opts.Logger.Warn("a file of the cache of ranges cannot be removed", "file", f.name, "error", err)
	}
}

func (c *RangeCache) fileName(number uint64) string {
	return path.Join(c.opts.Dir, fmt.Sprintf("%016x%s", number, cacheSuffix))
}
