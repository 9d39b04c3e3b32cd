package tier

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/scribe-ledger/scribe/vfs"
)

const cacheSuffix = ".ranges"

// add writes a range behind the others. The caller holds writing.
func (c *RangeCache) add(id cacheID, data []byte) error {
	f, err := c.current(cacheRecordLen + len(data) + cacheTableRecord)
	if f == nil || err != nil {
		return err
	}
	return c.write(f, id, data)
}

func (c *RangeCache) write(f *cacheFile, id cacheID, data []byte) error {
	at := uint32(f.end)
	c.scratch = appendCacheRecord(c.scratch[:0], id, at, data)
	if _, err := f.file.WriteAt(c.scratch, f.end); err != nil {
		return fmt.Errorf("tier: write %s: %w", f.name, err)
	}
	f.end += int64(len(c.scratch))
	f.places = append(f.places, cachePlace{id, at})
	c.mu.Lock()
	c.index[id] = &cachedRange{file: f, at: at}
	c.mu.Unlock()
	c.metrics.written.Add(float64(len(data)))
	return nil
}

// current returns the file being written if it has room for n bytes more, its table included, else a new one. The
// caller holds writing.
func (c *RangeCache) current(n int) (*cacheFile, error) {
	c.mu.Lock()
	var last *cacheFile
	if len(c.files) > 0 {
		last = c.files[len(c.files)-1]
	}
	ranges := len(c.index)
	c.mu.Unlock()
	if last != nil && !last.finished && ranges < c.opts.MaxRanges {
		table := int64(len(last.places))*cacheTableRecord + cacheTrailerLen
		if last.end+table+int64(n) <= c.fileBytes {
			return last, nil
		}
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	return c.begin()
}

// finish writes the table of the file being written. No sync: after a crash that took some of it the file is dropped,
// or its ranges fail their checksums. The caller holds writing.
func (c *RangeCache) finish() error {
	c.mu.Lock()
	var f *cacheFile
	if len(c.files) > 0 && !c.files[len(c.files)-1].finished {
		f = c.files[len(c.files)-1]
		f.finished = true
	}
	c.mu.Unlock()
	if f == nil {
		return nil
	}
	c.scratch = appendCacheTable(c.scratch[:0], f.places, uint32(f.end))
	_, err := f.file.WriteAt(c.scratch, f.end)
	size := f.end + int64(len(c.scratch))
	if err == nil {
		err = f.file.Truncate(size) // what was set aside for more
	}
	if err != nil {
		return fmt.Errorf("tier: finish %s: %w", f.name, err)
	}
	c.mu.Lock()
	c.bytes += size - f.taken
	f.taken = size
	c.mu.Unlock()
	return nil
}

// begin makes room and starts a file, whose space is taken at once: so a record never meets a full disk. Ranges of
// files that had to go and were used since they were written move into it. The caller holds writing.
func (c *RangeCache) begin() (*cacheFile, error) {
	moved, err := c.makeRoom()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	number := c.next
	c.next++
	c.mu.Unlock()
	f := &cacheFile{name: c.fileName(number), taken: c.fileBytes}
	if f.file, err = c.opts.FS.Create(f.name); err != nil {
		return nil, fmt.Errorf("tier: create %s: %w", f.name, err)
	}
	if err = f.file.Preallocate(c.fileBytes); err != nil {
		err = errors.Join(fmt.Errorf("tier: set space aside for %s: %w", f.name, err), f.file.Close())
		if rerr := c.opts.FS.Remove(f.name); rerr != nil {
			err = errors.Join(err, rerr)
		}
		return nil, err
	}
	c.mu.Lock()
	c.files = append(c.files, f)
	c.bytes += f.taken
	c.mu.Unlock()
	for _, m := range moved {
		if err := c.write(f, m.id, m.data); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// movedRange is one that outlives its file.
type movedRange struct {
	id   cacheID
	data []byte
}

// makeRoom drops the oldest files until another one fits, and returns what of them was used: up to a quarter of a file.
// The caller holds writing.
func (c *RangeCache) makeRoom() ([]movedRange, error) {
	var moved []movedRange
	left := c.fileBytes / 4
	for {
		c.mu.Lock()
		over := c.bytes+c.fileBytes > c.opts.MaxBytes || len(c.index) >= c.opts.MaxRanges
		none := len(c.files) == 0
		c.mu.Unlock()
		if !over {
			lacks, err := c.lacksSpace()
			switch {
			case err != nil:
				return nil, err
			case !lacks:
				return moved, nil
			case none:
				return nil, fmt.Errorf("%w: %s needs %d bytes beyond the reserve", vfs.ErrReserved, c.opts.Dir, c.fileBytes)
			}
		}
		if none {
			return nil, fmt.Errorf("%w: files of %s that are still being read take it all", vfs.ErrReserved, c.opts.Dir)
		}
		moved = c.dropOldest(moved, &left)
	}
}

// lacksSpace says whether another file would reach into the disk's reserve.
func (c *RangeCache) lacksSpace() (bool, error) {
	space, err := c.opts.FS.Space(c.opts.Dir)
	if err != nil {
		return false, fmt.Errorf("tier: free space of %s: %w", c.opts.Dir, err)
	}
	return space.Free < uint64(max(0, c.opts.ReserveBytes()))+uint64(c.fileBytes), nil
}

// dropOldest drops the oldest file and returns moved with those of its ranges that were used, as far as left reaches.
// The caller holds writing.
func (c *RangeCache) dropOldest(moved []movedRange, left *int64) []movedRange {
	c.mu.Lock()
	f := c.files[0]
	c.files = c.files[1:]
	f.doomed = true
	f.readers++
	var used []cachePlace
	for _, p := range f.places {
		r := c.index[p.id]
		if r == nil || r.file != f {
			continue
		}
		delete(c.index, p.id)
		if cost := int64(cacheRecordLen + p.id.n + cacheTableRecord); r.used && cost <= *left {
			used = append(used, p)
			*left -= cost
			continue
		}
		c.metrics.evictions.Inc()
	}
	c.mu.Unlock()
	for _, p := range used { // without mu: reads go on meanwhile
		data := make([]byte, p.id.n)
		if r := (cachedRange{file: f, at: p.at}); r.read(p.id, data) {
			moved = append(moved, movedRange{p.id, data})
		}
	}
	c.mu.Lock()
	c.release(f)
	c.mu.Unlock()
	return moved
}

// load takes over the files that are whole and removes the others.
func (c *RangeCache) load() error {
	names, err := c.opts.FS.List(c.opts.Dir)
	if err != nil {
		return fmt.Errorf("tier: list the cache of ranges: %w", err)
	}
	for i, base := range slices.Backward(names) { // the newest first
		number, ours := parseCacheName(base)
		if !ours {
			continue
		}
		c.next = max(c.next, number+1)
		if f := c.openFile(path.Join(c.opts.Dir, base)); f != nil && i >= len(names)-maxCacheListed {
			c.files = append(c.files, f)
			c.bytes += f.taken
			for _, p := range f.places {
				if _, newer := c.index[p.id]; !newer {
					c.index[p.id] = &cachedRange{file: f, at: p.at}
				}
			}
			continue
		} else if f != nil {
			_ = f.file.Close() // it was only read
		}
		if err := c.opts.FS.Remove(path.Join(c.opts.Dir, base)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("tier: remove an unfinished file of the cache of ranges: %w", err)
		}
	}
	slices.Reverse(c.files)
	return nil
}

// parseCacheName reads what fileName makes.
func parseCacheName(base string) (number uint64, ours bool) {
	digits, ours := strings.CutSuffix(base, cacheSuffix)
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, ours && err == nil && len(digits) == 16 && number < math.MaxUint64
}

// openFile opens a finished file; nil for one that is not, or that would take the cache beyond its bounds.
func (c *RangeCache) openFile(name string) *cacheFile {
	file, err := c.opts.FS.Open(name)
	if err != nil {
		return nil
	}
	places, tableAt, size, ok := readCacheTable(file)
	if !ok || c.bytes+size > c.opts.MaxBytes || len(c.index)+len(places) > c.opts.MaxRanges {
		_ = file.Close() // it was only read
		return nil
	}
	return &cacheFile{file: file, name: name, places: places, end: tableAt, taken: size, finished: true}
}

func readCacheTable(file vfs.File) (places []cachePlace, tableAt, size int64, ok bool) {
	size, err := file.Size()
	if err != nil || size < cacheTrailerLen || size > maxCacheFile {
		return nil, 0, 0, false
	}
	trailer := make([]byte, cacheTrailerLen)
	if n, _ := file.ReadAt(trailer, size-cacheTrailerLen); n != len(trailer) {
		return nil, 0, 0, false
	}
	if tableAt, ok = parseCacheTrailer(trailer, size); !ok {
		return nil, 0, 0, false
	}
	table := make([]byte, size-tableAt)
	if n, _ := file.ReadAt(table, tableAt); n != len(table) {
		return nil, 0, 0, false
	}
	places, ok = parseCacheTable(table, uint32(tableAt))
	return places, tableAt, size, ok
}
