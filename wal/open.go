package wal

import (
	"fmt"
	"path"
	"slices"

	"github.com/scribe-ledger/scribe/vfs"
)

// Open opens the log in Options.Dir, or begins one. What an earlier process left is synced before it is read, verified
// to the last byte that counts, and pinned: by a durable note behind the last batch, or, when anything but zeros
// follows it, by a new file whose header says where the old one ends. Open returns *vfs.CorruptError when acknowledged
// bytes are damaged or missing, and *OwnerError when it is another's log; the files are left as they are. On a full
// disk it makes do with the files that there are.
//
// The caller has made sure that no other process or Log has the directory open.
func Open(o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{opts: o, metrics: newMetrics()}
	if err = l.recover(); err == nil {
		err = l.metrics.register(o.Registerer)
	}
	if err != nil {
		l.letGo()
		return nil, err
	}
	return l, nil
}

// listing is what stands in the directory.
type listing struct {
	logs   []uint64 // ascending
	spares []uint64
	origin bool
}

func (l *Log) list() (ls listing, err error) {
	names, err := l.opts.FS.List(l.opts.Dir)
	if err != nil {
		return ls, fmt.Errorf("wal: list %s: %w", l.opts.Dir, err)
	}
	for _, name := range names {
		if id, ok := parseLogName(name); ok {
			ls.logs = append(ls.logs, id)
		} else if n, ok := parseSpareName(name); ok {
			ls.spares = append(ls.spares, n)
			l.spares.next = max(l.spares.next, n)
		} else if name == originName {
			ls.origin = true
		} else if name != originName+".tmp" { // which vfs.WriteFileAtomic leaves in a crash, and replaces

			l.opts.Logger.Warn("file in the log's directory is not the log's", "dir", l.opts.Dir, "name", name)
		}
	}
	slices.Sort(ls.logs)
	return ls, nil
}

func (l *Log) recover() error {
	fs, dir := l.opts.FS, l.opts.Dir
	if err := fs.MkdirAll(dir); err != nil {
		return fmt.Errorf("wal: make %s: %w", dir, err)
	}
	// Names that an earlier process changed and did not sync must not change back once they are believed.
	if err := fs.SyncDir(dir); err != nil {
		return fmt.Errorf("wal: sync %s: %w", dir, err)
	}
	ls, err := l.list()
	if err != nil {
		return err
	}
	if ls.origin {
		if err := l.readOrigin(); err != nil {
			return err
		}
	}
	trimmed, used := splitTrimmed(ls.logs, l.origin.id)
	if err := l.checkNames(used); err != nil {
		return err
	}
	if err := l.openFiles(used); err != nil {
		return err
	}
	if err := l.clear(trimmed, ls.spares); err != nil {
		return err
	}
	if err := l.pin(); err != nil {
		return err
	}
	if l.origin.id == 0 && len(l.line.files) > 0 {
		if err := l.writeOrigin(1); err != nil && !vfs.IsNoSpace(err) {
			return err
		}
	}
	l.metrics.files.Set(float64(len(l.line.files)))
	return nil
}

func (l *Log) readOrigin() error {
	name := path.Join(l.opts.Dir, originName)
	f, err := l.opts.FS.OpenRW(name)
	if err != nil {
		return fmt.Errorf("wal: open origin: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("wal: sync %s before reading it: %w", name, err)
	}
	if err := f.DropCache(); err != nil {
		return fmt.Errorf("wal: drop cached pages of %s: %w", name, err)
	}
	b, err := vfs.ReadFile(l.opts.FS, name, 2*originSlot)
	if err != nil {
		return fmt.Errorf("wal: read origin: %w", err)
	}
	l.origin, err = decodeOrigin(name, b)
	return err
}

// splitTrimmed parts the log files that were trimmed, and not taken away yet, from those in use.
func splitTrimmed(ids []uint64, origin uint64) (trimmed, used []uint64) {
	i, _ := slices.BinarySearch(ids, origin)
	return ids[:i], ids[i:]
}

// checkNames finds missing files. Ids count up by one, from 1 or from what the origin file says.
func (l *Log) checkNames(ids []uint64) error {
	due := max(l.origin.id, 1)
	if len(ids) == 0 && l.origin.id == 0 {
		return nil
	}
	for _, id := range ids {
		if id != due {
			break
		}
		due++
	}
	if n := uint64(len(ids)); n > 0 && due == ids[n-1]+1 {
		return nil
	}
	return &vfs.CorruptError{File: path.Join(l.opts.Dir, logName(due)), Offset: 0,
		Reason: "the file is missing and its entries with it; " + remedy}
}

// openFiles opens and replays the files in use.
func (l *Log) openFiles(ids []uint64) error {
	l.line.next = 1
	var files []*logFile
	defer func() {
		for _, f := range files[len(l.line.files):] {
			f.release() // the others go with the log
		}
	}()
	for _, id := range ids {
		f, err := openLogFile(l.opts.FS, l.opts.Dir, id, l.opts.Method == ByStores)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	if err := l.checkOwner(files); err != nil {
		return err
	}
	for i, f := range files {
		var successor *header
		if i+1 < len(files) {
			successor = &files[i+1].hdr
		}
		err := guardFault(&f, func() error {
			if err := l.line.enter(f); err != nil {
				return err
			}
			sc, err := l.line.replay(f, successor)
			f.good, f.goodSum, f.end, f.endSum, f.sealed = sc.good, sc.goodSum, sc.end, sc.endSum, !sc.clean
			return err
		})
		if err != nil {
			return err
		}
	}
	return l.checkAdopted()
}

// clear makes spares of trimmed files, and takes up the spares that are whole, as many as are to be kept.
func (l *Log) clear(trimmed, spares []uint64) error {
	var ready []spare
	for _, n := range spares {
		name := path.Join(l.opts.Dir, spareName(n))
		info, err := l.opts.FS.Stat(name)
		if err != nil {
			return fmt.Errorf("wal: size of spare: %w", err)
		}
		if info.Size == l.opts.FileBytes && l.spares.reserve(max(l.opts.SpareFiles, 1)) {
			ready = append(ready, spare{path: name, size: info.Size})
		} else if err := l.opts.FS.Remove(name); err != nil {
			return fmt.Errorf("wal: remove spare: %w", err)
		}
	}
	for _, id := range trimmed {
		name := path.Join(l.opts.Dir, logName(id))
		info, err := l.opts.FS.Stat(name)
		if err != nil {
			return fmt.Errorf("wal: size of log file: %w", err)
		}
		sp, kept, err := l.retire(name, info.Size)
		if err != nil {
			return err
		}
		if kept {
			ready = append(ready, sp)
		}
	}
	if len(spares)+len(trimmed) > 0 {
		if err := l.opts.FS.SyncDir(l.opts.Dir); err != nil {
			return fmt.Errorf("wal: sync %s: %w", l.opts.Dir, err)
		}
	}
	for _, sp := range ready {
		l.spares.put(sp)
	}
	return nil
}

// pin makes durable where the log ends, before anybody relies on it: else damage to the last batch, later on, would
// look like a torn tail.
func (l *Log) pin() error {
	f := l.active()
	fits := f != nil && f.end+noteSize <= int64(len(f.buf))
	if fits && !f.sealed {
		return l.pinIn(f)
	}
	_, err := l.roll(0, nil)
	if err == nil || !vfs.IsNoSpace(err) || l.err != nil {
		return err
	}
	if !fits {
		l.opts.Logger.Warn("no space for a log file: entries can be read, not appended", "dir", l.opts.Dir, "error", err)
		return nil
	}
	if err := l.scrub(f); err != nil {
		return err
	}
	return l.pinIn(f)
}

// pinIn pins the end of f, which may be appended to.
func (l *Log) pinIn(f *logFile) error {
	if f.end > f.good || f.good == headerSize {
		return nil
	}
	e := encoder{id: f.hdr.id, origin: f.hdr.sum, base: f.end, prev: f.endSum}
	e.note(f.good, l.line.next-1)
	if err := f.write(l.opts.Method, e.buf, f.end); err != nil {
		return fmt.Errorf("wal: write %s: %w", f.path, err)
	}
	if err := f.sync(l.opts.Method, f.end, int64(len(e.buf))); err != nil {
		return fmt.Errorf("wal: sync %s: %w", f.path, err)
	}
	f.end, f.endSum = e.at(), e.prev
	return nil
}

// scrub puts zeros behind the end of f, so that it can be appended to though an older life's bytes or a torn batch stood
// there. They do not count, by what replay found, and none of it needs space: the file has its blocks. A crash on the way
// leaves fewer of them. It is slower than a new file, and for disks that have no space for one.
func (l *Log) scrub(f *logFile) error {
	zeros := make([]byte, zeroChunk)
	for off := f.end; off < int64(len(f.buf)); off += zeroChunk {
		if err := f.write(l.opts.Method, zeros[:min(zeroChunk, int64(len(f.buf))-off)], off); err != nil {
			return fmt.Errorf("wal: write %s: %w", f.path, err)
		}
	}
	if err := f.sync(l.opts.Method, f.end, int64(len(f.buf))-f.end); err != nil {
		return fmt.Errorf("wal: sync %s: %w", f.path, err)
	}
	f.sealed = false
	l.opts.Logger.Warn("no space for a log file: the log goes on in the last one", "file", f.path)
	return nil
}
