package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// compactSyncBytes is how much of a merge is written between two syncs: the log's own syncs wait for what the disk has
	// to write before them.
	compactSyncBytes = 4 << 20
	// mergeYield is after how many entries whoever else is ready to run has a turn, as in a flush (flushYield): of entries
	// that are mostly copied, so that they are more.
	mergeYield = 256
	// lookEvery is after how many entries a merge looks whether the ledger is being closed, and whether it has to give way.
	lookEvery = 1024
)

// buildNext builds the next merge, or takes one that an earlier process had finished.
func (l *Ledger) buildNext() (worked bool, err error) {
	span, inputs, err := l.nextMerge()
	if err != nil || inputs == nil {
		return false, err
	}
	defer releaseAll(inputs)
	id := tlog.SegmentID(span.FirstSeq, span.LastSeq)
	if err := l.build1(span, id, inputs); err != nil {
		if errors.Is(err, ErrClosed) {
			return false, err
		}
		l.failedMerge = span
		return true, fmt.Errorf("merge %d segments into %s: %w", len(inputs), id, err)
	}
	return true, nil
}

func (l *Ledger) build1(span manifest.Range, id string, inputs []*table) error {
	if recorded, ok := l.partition.Load().is(span); ok {
		if done, err := l.adoptMerged(recorded, inputs); done || err != nil {
			return err
		}
	}
	if done, err := l.takeFinished(span, id, inputs); done || err != nil {
		return err
	}
	if err := l.roomToMerge(inputs); err != nil {
		return err
	}
	began := l.opts.Now()
	temporary := l.segmentFile(id) + temporarySuffix
	info, err := l.writeMerged(temporary, span, inputs)
	if err == nil {
		err = l.placeMerged(temporary, span, info, inputs)
	}
	if err != nil {
		// What was written is of no use; if it cannot go now, the next try or the next start takes it away.
		_ = l.opts.FS.Remove(temporary)
		return err
	}
	took := l.opts.Now().Sub(began)
	l.metrics.compactSeconds.Observe(took.Seconds())
	l.opts.Logger.Info("merged segment built", "segment", id, "of", len(inputs), "entries", info.Entries, "bytes",
		info.Bytes, "root", info.Root.String(), "took", took)
	return nil
}

// takeFinished takes up a file that an earlier process, or another state of this one, has built and not installed. It
// was synced before it got its name.
func (l *Ledger) takeFinished(span manifest.Range, id string, inputs []*table) (done bool, err error) {
	if _, err := l.opts.FS.Stat(l.segmentFile(id)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	l.flushes.Lock()
	defer l.flushes.Unlock()
	if !l.stillWanted(span, inputs) {
		return true, nil
	}
	t, err := l.openUnknown(l.segmentFile(id), span)
	if err == nil {
		if recorded, ok := l.partition.Load().is(span); ok && t.Info().Root != recorded.Root {
			t.release()
			err = &vfs.CorruptError{File: l.segmentFile(id), Reason: "its root is not the recorded one"}
		}
	}
	if corrupt := (*vfs.CorruptError)(nil); errors.As(err, &corrupt) {
		l.opts.Logger.Warn("a merge that was finished before is of no use; it is built again", "error", err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// An earlier process may not have lived to make the name durable.
	if err := l.opts.FS.SyncDir(l.segmentDir()); err != nil {
		t.release()
		return false, err
	}
	l.addMerged(&merged{span: span, table: t, info: t.Info()})
	l.opts.Logger.Info("merged segment found finished", "segment", id)
	return true, nil
}

// placeMerged gives a finished merge its name, unless its inputs were replaced meanwhile. Else a file that another
// state has brought here could be overwritten.
func (l *Ledger) placeMerged(temporary string, span manifest.Range, info sstable.Info, inputs []*table) error {
	l.flushes.Lock()
	defer l.flushes.Unlock()
	if !l.stillWanted(span, inputs) {
		return l.opts.FS.Remove(temporary)
	}
	if err := l.opts.FS.Rename(temporary, l.segmentFile(info.ID)); err != nil {
		return err
	}
	if err := l.opts.FS.SyncDir(l.segmentDir()); err != nil {
		return err
	}
	t, err := l.openTable(l.segmentFile(info.ID), info)
	if err != nil {
		return err
	}
	if recorded, ok := l.partition.Load().is(span); ok && recorded.Root != info.Root {
		t.release()
		return sameDescriptor(describe(recorded), descriptorOf(info))
	}
	l.addMerged(&merged{span: span, table: t, info: info})
	return nil
}

// addMerged shows a merge that is durable to those who report it and install it.
func (l *Ledger) addMerged(m *merged) {
	l.flushMu.Lock()
	l.merged = append(l.merged[:len(l.merged):len(l.merged)], m)
	l.flushMu.Unlock()
	l.notify()
}

// stillWanted says whether a merge is still to be made of these very tables, and nobody else has an eye on its file. The
// caller holds flushes.
func (l *Ledger) stillWanted(span manifest.Range, inputs []*table) bool {
	v, err := l.acquire()
	if err != nil {
		return false
	}
	defer v.release()
	now := v.covering(span)
	if len(now) != len(inputs) || l.pinned(tlog.SegmentID(span.FirstSeq, span.LastSeq)) {
		return false
	}
	for i, t := range now {
		if t != inputs[i] {
			return false
		}
	}
	p := l.partition.Load()
	_, recorded := p.is(span)
	return recorded || p.pending(span)
}

// writeMerged writes the segment of a range to a temporary file and syncs it.
func (l *Ledger) writeMerged(temporary string, span manifest.Range, inputs []*table) (info sstable.Info, err error) {
	if err := l.opts.FS.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return info, err
	}
	f, err := l.opts.FS.Create(temporary)
	if err != nil {
		return info, err
	}
	defer f.Close()
	scratch, drop, err := l.scratch(temporary)
	if err != nil {
		return info, err
	}
	defer drop()
	out := &paced{ledger: l, to: appender{f: f}}
	w, err := sstable.NewWriter(out, span.FirstSeq, span.LastSeq, sstable.WriterOptions{Compression: l.opts.Compression,
		BlockBytes: l.opts.BlockBytes, BufferBytes: flushBufferBytes, Scratch: scratch})
	if err != nil {
		return info, err
	}
	m := newMerger(inputs)
	for n := 0; m.next(); n++ {
		if n%mergeYield == 0 {
			runtime.Gosched()
		}
		if n%lookEvery == 0 {
			if err := l.giveWay(); err != nil {
				return info, err
			}
		}
		if err := w.AddFrom(m.at()); err != nil {
			return info, err
		}
	}
	if m.err != nil {
		return info, m.err
	}
	var read uint64
	var nodes []merkle.Hash
	for _, t := range inputs {
		n, err := t.LedgerNodes()
		if err != nil {
			return info, err
		}
		nodes, read = append(nodes, n...), read+t.Info().Bytes
	}
	w.SetLedgerNodes(nodes)
	if info, err = w.Finish(); err != nil {
		return info, err
	}
	l.metrics.compactRead.Add(float64(read))
	l.metrics.compactWritten.Add(float64(info.Bytes))
	return info, f.Sync()
}

// scratch makes the file in which a merge's builder keeps what would grow in memory.
func (l *Ledger) scratch(temporary string) (f vfs.File, drop func(), err error) {
	name := strings.TrimSuffix(temporary, temporarySuffix) + ".scratch" + temporarySuffix
	if err := l.opts.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	if f, err = l.opts.FS.Create(name); err != nil {
		return nil, nil, err
	}
	return f, func() {
		f.Close()
		_ = l.removeInSteps(name) // if it cannot go now, the next start takes it away
	}, nil
}
