package wal

import (
	"errors"
	"fmt"
	"path"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// Trim drops the oldest files as far as all their live entries have index <= index, but never the active one. The
// caller has made durable elsewhere what those entries did. It may run beside all other methods. An error leaves the
// log as it was or trimmed, and usable.
func (l *Log) Trim(index uint64) error {
	l.trimMu.Lock()
	defer l.trimMu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	l.mu.RLock()
	n := 0
	for n < len(l.line.files)-1 {
		s := &l.line.files[n].span
		if !s.empty() && s.after()-1 > index {
			break
		}
		n++
	}
	l.mu.RUnlock()
	return l.drop(n)
}

// Reset drops every entry: the log goes on after entry index of that term, which a snapshot installed on this node
// stands for. The new beginning and hs become durable together. Errors: as Append; one that is returned after the new
// beginning is durable only means that older files are still there.
func (l *Log) Reset(index, term uint64, hs raft.HardState) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	l.mu.RLock()
	err := l.checkBatch(&hs, nil)
	l.mu.RUnlock()
	if err != nil {
		return err
	}
	if index+1 == 0 {
		return fmt.Errorf("%w: no entry can follow %d", ErrOrder, index)
	}
	if _, err := l.roll(0, &restart{index: index, term: term, hard: hs}); err != nil {
		return err
	}
	l.trimMu.Lock()
	defer l.trimMu.Unlock()
	return l.drop(len(l.line.files) - 1)
}

// drop takes the n oldest files out of the log. The caller holds trimMu. Before the first one goes, the origin file
// says durably that the log begins behind it.
func (l *Log) drop(n int) error {
	if n == 0 {
		return nil
	}
	l.mu.RLock()
	keep := l.line.files[n].hdr.id
	l.mu.RUnlock()
	if err := l.writeOrigin(keep); err != nil {
		return err
	}
	l.mu.Lock()
	gone := l.line.files[:n]
	l.line.files = append([]*logFile(nil), l.line.files[n:]...)
	l.metrics.files.Set(float64(len(l.line.files)))
	l.mu.Unlock()
	var errs []error
	for _, f := range gone {
		sp, kept, err := l.retire(f.path, int64(len(f.buf)))
		if err != nil {
			errs = append(errs, err)
		}
		if kept {
			f.onFree = func() { l.spares.put(sp) }
		}
	}
	// A spare is used again only when its new name is durable; else a crash might show it under the old one too.
	if err := l.opts.FS.SyncDir(l.opts.Dir); err != nil {
		errs = append(errs, fmt.Errorf("wal: sync directory: %w", err))
		for _, f := range gone {
			f.onFree = nil
		}
	}
	for _, f := range gone {
		f.release()
	}
	return errors.Join(errs...)
}

// retire renames a log file that is no longer part of the log to a spare, or removes it. The spare is not yet ready.
func (l *Log) retire(name string, size int64) (sp spare, kept bool, err error) {
	if size != l.opts.FileBytes || !l.spares.reserve(l.opts.SpareFiles) {
		if err := l.opts.FS.Remove(name); err != nil {
			return sp, false, fmt.Errorf("wal: remove log file: %w", err)
		}
		return sp, false, nil
	}
	sp = spare{path: path.Join(l.opts.Dir, l.spares.name()), size: size}
	if err := l.opts.FS.Rename(name, sp.path); err != nil {
		l.spares.forget()
		return sp, false, fmt.Errorf("wal: recycle log file: %w", err)
	}
	return sp, true, nil
}

// writeOrigin makes durable that file id is the oldest of the log. The caller holds trimMu, or opens the log.
func (l *Log) writeOrigin(id uint64) error {
	slot := encodeOriginSlot(id, l.owner)
	if l.origin.id == 0 {
		both := append(slot, slot...)
		if err := vfs.WriteFileAtomic(l.opts.FS, l.opts.Dir, originName, both); err != nil {
			return fmt.Errorf("wal: write origin: %w", err)
		}
		l.origin = origin{id: id, owner: l.owner}
		return nil
	}
	f, err := l.opts.FS.OpenRW(path.Join(l.opts.Dir, originName))
	if err != nil {
		return fmt.Errorf("wal: open origin: %w", err)
	}
	defer f.Close()
	at := 1 - l.origin.slot
	if _, err = f.WriteAt(slot, int64(at*originSlot)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("wal: write origin: %w", err)
	}
	l.origin = origin{id: id, owner: l.owner, slot: at}
	return nil
}
