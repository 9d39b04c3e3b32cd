package wal

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/scribe-ledger/scribe/vfs"
)

// A spare is a preallocated file without a place in the log: new, or trimmed. What it holds is of no account, because
// its records carry the id of the file they were written for.
type spare struct {
	path string
	size int64
}

// pool keeps the spares that nobody reads any more.
type pool struct {
	mu    sync.Mutex
	ready []spare
	held  int    // ready ones and those that readers still hold
	next  uint64 // number of the next spare's name
}

func spareName(n uint64) string { return fmt.Sprintf("spare-%016x.log", n) }

func parseSpareName(name string) (uint64, bool) {
	hex, ok := strings.CutPrefix(strings.TrimSuffix(name, ".log"), "spare-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(hex, 16, 64)
	return n, err == nil && spareName(n) == name
}

func (p *pool) name() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	return spareName(p.next)
}

// reserve makes room for one more spare among keep.
func (p *pool) reserve(keep int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held >= keep {
		return false
	}
	p.held++
	return true
}

// put adds a spare for which room was reserved.
func (p *pool) put(s spare) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = append(p.ready, s)
}

// forget gives reserved room back.
func (p *pool) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held--
}

// take removes a spare of at least size bytes.
func (p *pool) take(size int64) (spare, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.ready {
		if s.size >= size {
			p.ready = append(p.ready[:i], p.ready[i+1:]...)
			p.held--
			return s, true
		}
	}
	return spare{}, false
}

// largest is the size of the largest spare that is ready.
func (p *pool) largest() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := int64(0)
	for _, s := range p.ready {
		n = max(n, s.size)
	}
	return n
}

// bytes is the size of all spares that are ready.
func (p *pool) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := int64(0)
	for _, s := range p.ready {
		n += s.size
	}
	return n
}

const (
	zeroChunk = 256 << 10
	// pacedBytes is how much of a spare is written before it is synced, when nobody waits for it: that is what a sync of
	// the log may find before it in the device's queue.
	pacedBytes = 1 << 20
)

// makeSpare makes a new file of size bytes, with real blocks under it and zeros in them: a block that was written once
// is overwritten without a change to the file's extents, which a sync would have to journal. A paced one is durable.
func (l *Log) makeSpare(size int64, paced bool) (spare, vfs.File, error) {
	sp := spare{path: path.Join(l.opts.Dir, l.spares.name()), size: size}
	f, err := l.opts.FS.Create(sp.path)
	if err != nil {
		return sp, nil, fmt.Errorf("wal: make log file: %w", err)
	}
	err = f.Preallocate(size)
	zeros := make([]byte, min(size, zeroChunk))
	for off := int64(0); err == nil && off < size; off += int64(len(zeros)) {
		n, werr := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off)
		if err = werr; err == nil && paced && ((off+int64(n))%pacedBytes == 0 || off+int64(n) == size) {
			err = f.Sync()
		}
	}
	if err != nil {
		l.discard(sp, f)
		return sp, nil, fmt.Errorf("wal: preallocate %d bytes of %s: %w", size, sp.path, err)
	}
	return sp, f, nil
}

// openSpare opens a spare and makes sure of its blocks again: a crash may have come before they were reserved.
func (l *Log) openSpare(sp spare) (vfs.File, error) {
	f, err := l.opts.FS.OpenRW(sp.path)
	if err != nil {
		return nil, fmt.Errorf("wal: open spare: %w", err)
	}
	if err := f.Preallocate(sp.size); err != nil {
		l.discard(sp, f)
		return nil, fmt.Errorf("wal: preallocate %d bytes of %s: %w", sp.size, sp.path, err)
	}
	return f, nil
}

// discard gives up a file that did not become a log file. What cannot be removed is found again at the next Open.
func (l *Log) discard(sp spare, f vfs.File) {
	f.Close()
	if err := l.opts.FS.Remove(sp.path); err != nil {
		l.opts.Logger.Warn("spare log file stays behind", "file", sp.path, "error", err)
	}
}

// Spares is how many files are ready to be used as the next log file.
func (l *Log) Spares() int {
	p := &l.spares
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, s := range p.ready {
		if s.size >= l.opts.FileBytes {
			n++
		}
	}
	return n
}

// Prepared says whether a spare is ready, so that Prepare has nothing to do.
func (l *Log) Prepared() bool { return l.spares.largest() >= l.opts.FileBytes }

// Prepare makes a spare ready, so that the next Append that fills the file does not wait for one. It may run beside
// all other methods. An error for which vfs.IsNoSpace holds, like any other it returns, changes nothing.
func (l *Log) Prepare() error {
	l.prepareMu.Lock()
	defer l.prepareMu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if l.Prepared() {
		return nil
	}
	sp, f, err := l.makeSpare(l.opts.FileBytes, true)
	if err != nil {
		return err
	}
	if err = l.opts.FS.SyncDir(l.opts.Dir); err != nil {
		l.discard(sp, f)
		return fmt.Errorf("wal: sync spare %s: %w", sp.path, err)
	}
	if err := f.Close(); err != nil {
		l.opts.Logger.Warn("close of a spare log file", "file", sp.path, "error", err)
	}
	l.spares.reserve(math.MaxInt)
	l.spares.put(sp)
	return nil
}
