package wal

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const keepBuffer = 4 << 20 // a larger batch buffer is not kept for the next batch

// Append writes a hard state, if hs is not nil and differs from the one held, and entries as one batch with one sync and
// one write, or a few when there is large data, which is not copied. All of it is durable when nil is returned. An entry
// at or below LastIndex voids the entries from its index on.
//
// ErrOrder refuses a batch and changes nothing. So does an error for which vfs.IsNoSpace holds and errors.Is
// ErrPoisoned does not: no new file could be made. After any other error the log is poisoned and it is unknown whether
// the batch will be found by the next Open; it will be found whole or not at all.
func (l *Log) Append(hs *raft.HardState, entries []raft.Entry) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	// The appender alone changes the timeline but for Trim, which only takes old files away.
	l.mu.RLock()
	if hs != nil && *hs == l.line.hard {
		hs = nil
	}
	err := l.checkBatch(hs, entries)
	f := l.active()
	l.mu.RUnlock()
	if err != nil || (hs == nil && len(entries) == 0) {
		return err
	}
	need := BatchBytes(entries)
	if need > MaxBatchBytes {
		return fmt.Errorf("wal: a batch of %d bytes is larger than %d", need, MaxBatchBytes)
	}
	if f == nil || f.sealed || f.end+need > int64(len(f.buf)) {
		if f, err = l.roll(need, nil); err != nil {
			return err
		}
	}
	return l.appendTo(f, hs, entries)
}

// appendTo writes a batch that was checked and fits into f, the active file.
func (l *Log) appendTo(f *logFile, hs *raft.HardState, entries []raft.Entry) error {
	e := encoder{id: f.hdr.id, origin: f.hdr.sum, base: f.end, prev: f.endSum, buf: l.buf[:0]}
	l.marks = l.marks[:0]
	if hs != nil {
		e.hard(*hs)
	}
	next, first := l.line.next, uint64(0)
	for i := range entries {
		ent := &entries[i]
		l.marks = append(l.marks, pending{index: ent.Index, term: ent.Term, off: e.at(), prev: e.prev,
			members: ent.Kind == raft.EntryMembers})
		e.entry(ent)
		next = ent.Index + 1
	}
	if len(entries) > 0 {
		first = entries[0].Index
	}
	e.marker(f.good, first, next-1)
	batch, size, good, goodSum := len(e.buf), e.at()-f.end, e.at(), e.prev
	e.note(good, next-1)
	if l.buf = e.buf; cap(l.buf) > keepBuffer {
		l.buf = nil
	}

	if err := f.writeBatch(l.opts.Method, e.buf[:batch], e.pieces, f.end); err != nil {
		return l.poison(fmt.Errorf("write %s: %w", f.path, err))
	}
	began := time.Now()
	// From good on: a sync of a mapped range covers its pages alone, and the note in front of the batch, without which
	// the batch is not found, may stand in the page before.
	if err := f.sync(l.opts.Method, f.good, f.end-f.good+size); err != nil {
		return l.poison(fmt.Errorf("sync %s: %w", f.path, err))
	}
	l.metrics.sync.Observe(time.Since(began).Seconds())
	l.metrics.appends.Inc()
	l.metrics.bytes.Add(float64(int64(len(e.buf)) + e.apart))

	// The note reaches the disk with the next batch. Its failure does not undo this one.
	noteErr := f.write(l.opts.Method, e.buf[batch:], good)

	l.mu.Lock()
	for _, p := range l.marks {
		l.line.add(f, p)
	}
	if hs != nil {
		l.line.hard = *hs
	}
	f.good, f.goodSum, f.end, f.endSum = good, goodSum, e.at(), e.prev
	l.mu.Unlock()
	if noteErr != nil {
		l.poison(fmt.Errorf("write %s: %w", f.path, noteErr))
	}
	return nil
}

// checkBatch says how a batch fails to continue the log. The caller holds mu.
func (l *Log) checkBatch(hs *raft.HardState, entries []raft.Entry) error {
	if hs != nil {
		old := l.line.hard
		if hs.Term < old.Term || (hs.Term == old.Term && old.Vote != 0 && hs.Vote != old.Vote) {
			return fmt.Errorf("%w: hard state %+v after %+v", ErrOrder, *hs, old)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	index := entries[0].Index
	if index < l.line.first() || index > l.line.next {
		return fmt.Errorf("%w: entry %d, where %d to %d are held", ErrOrder, index, l.line.first(), l.line.next-1)
	}
	term := l.line.termBefore(index)
	for i := range entries {
		ent := &entries[i]
		if ent.Index != index+uint64(i) || ent.Index == 0 || ent.Term < term {
			return fmt.Errorf("%w: entry %d of term %d, where entry %d of a term from %d is due",
				ErrOrder, ent.Index, ent.Term, index+uint64(i), term)
		}
		if len(ent.Data) > MaxEntryBytes {
			return fmt.Errorf("wal: entry %d has %d bytes, more than %d", ent.Index, len(ent.Data), MaxEntryBytes)
		}
		term = ent.Term
	}
	return nil
}

// restart is what a log that begins anew begins with.
type restart struct {
	index, term uint64
	hard        raft.HardState
}

// roll makes the next log file and makes it active. It holds need bytes behind its header. The header, with all that
// this node voted and where the file before ends, is durable before the file gets its name, and the name before
// anything is appended; so a log file whose header does not verify is damaged, never unfinished.
//
// The caller holds appendMu. An error poisons the log, except that no space is left before the file has its name.
func (l *Log) roll(need int64, anew *restart) (*logFile, error) {
	size := max(l.opts.FileBytes, roundBlock(headerSize+need))
	sp, recycled := l.spares.take(size)
	var file vfs.File
	var err error
	if recycled {
		file, err = l.openSpare(sp)
	} else {
		sp, file, err = l.makeSpare(size, false)
	}
	if err != nil {
		return nil, l.poisonUnlessFull(err)
	}
	f := &logFile{path: sp.path, file: file, hdr: l.nextHeader(sp.size, anew)}
	f.refs.Store(1)
	if f.mapping, err = file.Map(sp.size, l.opts.Method == ByStores); err == nil {
		f.buf = f.mapping.Bytes()
		err = f.write(ByPwrite, f.hdr.encode(), 0)
	}
	if err != nil {
		f.release()
		if rerr := l.opts.FS.Remove(sp.path); rerr != nil {
			l.opts.Logger.Warn("spare log file stays behind", "file", sp.path, "error", rerr)
		}
		return nil, l.poisonUnlessFull(fmt.Errorf("wal: begin log file %s: %w", sp.path, err))
	}
	name := path.Join(l.opts.Dir, logName(f.hdr.id))
	err = file.Sync()
	if err == nil {
		err = l.opts.FS.Rename(sp.path, name)
	}
	if err == nil {
		err = l.opts.FS.SyncDir(l.opts.Dir)
	}
	if err != nil {
		// The name may or may not be taken: going on in the old file could be undone by the new one's header.
		f.release()
		return nil, l.poison(fmt.Errorf("begin log file %s: %w", name, err))
	}
	f.path = name
	f.good, f.goodSum, f.end, f.endSum = headerSize, f.hdr.sum, headerSize, f.hdr.sum
	if recycled {
		l.metrics.recycled.Inc()
	}
	l.metrics.bytes.Add(headerSize)

	l.mu.Lock()
	defer l.mu.Unlock()
	if anew != nil {
		l.line.cut(0)
		l.line.next, l.line.hard = f.hdr.first, f.hdr.hard
	}
	l.line.files = append(l.line.files, f)
	l.metrics.files.Set(float64(len(l.line.files)))
	return f, nil
}

func (l *Log) poisonUnlessFull(err error) error {
	if vfs.IsNoSpace(err) && !errors.Is(err, ErrPoisoned) {
		return err
	}
	return l.poison(err)
}

// nextHeader is the header of the file after the active one.
func (l *Log) nextHeader(size int64, anew *restart) header {
	h := header{id: 1, fileBytes: size &^ (align - 1), owner: l.owner}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if f := l.active(); f != nil {
		h.id, h.prevID, h.prevEnd, h.prevSum = f.hdr.id+1, f.hdr.id, f.good, f.goodSum
	}
	if anew != nil {
		h.restart, h.first, h.prevTerm, h.hard = true, anew.index+1, anew.term, anew.hard
		return h
	}
	h.first, h.prevTerm, h.hard = l.line.next, l.line.termBefore(l.line.next), l.line.hard
	return h
}
