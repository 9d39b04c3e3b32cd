package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	segmentSuffix   = ".seg"
	temporarySuffix = ".tmp"
	// manifestName is the file that holds the recorded state.
	manifestName = "MANIFEST"
	// flushBufferBytes bounds the write buffer of a segment under construction.
	flushBufferBytes = 1 << 20
	// flushYield is how many entries are added before whoever else is ready to run has a turn: the scheduler would let a
	// flush keep a processor for 10 ms at a time, and what commits writes wait for it.
	flushYield = 64
)

// FlushStep does the next piece of flushing and says whether there was one: it builds the segment of the oldest sealed
// memtable that has none, or installs the oldest segment that is built and recorded. Only the flusher calls it, or, with
// Options.Manual, the owner. After an error the same piece is tried again by the next call; nothing is lost, since the
// log keeps what is not installed. A *DivergedError is final.
func (l *Ledger) FlushStep() (worked bool, err error) {
	l.flushes.Lock()
	defer l.flushes.Unlock()
	if l.absent.Load() {
		return false, nil
	}
	defer func() { l.noteDamage(err) }()
	v, err := l.acquire()
	if err != nil {
		return false, err
	}
	defer v.release()
	if len(v.sealed) == 0 {
		return false, nil
	}
	oldest := v.sealed[len(v.sealed)-1]
	l.flushMu.Lock()
	ready := oldest.built != nil && oldest.recorded != nil
	l.flushMu.Unlock()
	if ready {
		return true, l.install(v, oldest)
	}
	for i := len(v.sealed) - 1; i >= 0; i-- {
		s := v.sealed[i]
		l.flushMu.Lock()
		built := s.built != nil
		l.flushMu.Unlock()
		if !built {
			return true, l.build(s)
		}
	}
	return false, nil
}

// build writes the segment of a sealed memtable: to a temporary file, synced, renamed, its directory synced.
func (l *Ledger) build(s *sealed) error {
	began := l.opts.Now()
	id := tlog.SegmentID(s.mem.first, s.last)
	info, err := l.writeSegment(id, s)
	if err != nil {
		return fmt.Errorf("flush segment %s: %w", id, err)
	}
	t, err := l.openTable(l.segmentFile(id), info)
	if err != nil {
		return fmt.Errorf("flush segment %s: %w", id, err)
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if s.recorded != nil {
		if err := sameDescriptor(*s.recorded, descriptorOf(info)); err != nil {
			t.release()
			return err
		}
	}
	s.built, s.info = t, info
	now := l.opts.Now()
	took := now.Sub(began)
	if _, size, _, _ := s.mem.size(); size >= l.opts.SealBytes {
		l.pace.flushed(now, took)
	}
	l.metrics.flushSeconds.Observe(took.Seconds())
	l.metrics.flushedBytes.Add(float64(info.Bytes))
	l.opts.Logger.Info("segment built", "segment", id, "entries", info.Entries, "bytes", info.Bytes, "root",
		info.Root.String(), "took", took)
	l.notify()
	return nil
}

func (l *Ledger) writeSegment(id string, s *sealed) (info sstable.Info, err error) {
	name := path.Join(l.segmentDir(), id+segmentSuffix)
	temporary := name + temporarySuffix
	if err := l.opts.FS.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return info, err
	}
	f, err := l.opts.FS.Create(temporary)
	if err != nil {
		return info, err
	}
	defer func() {
		f.Close()
		if err != nil {
			// The half-written file is of no use to anybody; if it cannot go now, the next start takes it away.
			_ = l.opts.FS.Remove(temporary)
		}
	}()
	_, size, _, _ := s.mem.size()
	opts := sstable.WriterOptions{Compression: l.opts.Compression, BlockBytes: l.opts.BlockBytes,
		BufferBytes: int(min(size, flushBufferBytes))}
	if s.last-s.mem.first >= sstable.MaxEntriesInMemory {
		scratch, drop, err := l.scratch(temporary)
		if err != nil {
			return info, err
		}
		defer drop()
		opts.Scratch = scratch
	}
	w, err := sstable.NewWriter(&appender{f: f}, s.mem.first, s.last, opts)
	if err != nil {
		return info, err
	}
	added := 0
	err = s.mem.each(func(e *Entry) error {
		if added++; added%flushYield == 0 {
			runtime.Gosched()
		}
		return w.Add(e)
	})
	if err != nil {
		return info, err
	}
	w.SetLedgerNodes(l.tree.Load().Level8(s.mem.first, s.last+1))
	if info, err = w.Finish(); err != nil {
		return info, err
	}
	if err := f.Sync(); err != nil {
		return info, err
	}
	if err := l.opts.FS.Rename(temporary, name); err != nil {
		return info, err
	}
	return info, l.opts.FS.SyncDir(l.segmentDir())
}

// startSyncBytes is how much of a file is written before it is sent on its way to the device: what piles up in the page
// cache until the last sync, the log's syncs would wait behind.
const startSyncBytes = 1 << 20

// appender writes a file from its beginning.
type appender struct {
	f       vfs.File
	off     int64
	started int64 // what stands before is on its way to the device
}

func (a *appender) Write(p []byte) (int, error) {
	n, err := a.f.WriteAt(p, a.off)
	a.off += int64(n)
	if err == nil && a.off-a.started >= startSyncBytes {
		err = a.f.StartSync(a.started, a.off-a.started)
		a.started = a.off
	}
	return n, err
}

// install makes a built and recorded segment part of the manifest, durably, and then drops its memtable. From then on
// the log up to the seal point is not needed here any more.
func (l *Ledger) install(v *view, s *sealed) error {
	l.flushMu.Lock()
	t, info := s.built, s.info
	l.flushMu.Unlock()
	state, err := v.state.WithSegment(segmentOf(info), manifest.SealPoint{
		AppliedIndex: s.index,
		AppliedTerm:  s.term,
		LastTime:     s.time,
		Frontier:     s.frontier.Marshal(),
		Recorded:     s.partition.recorded,
		Merges:       s.partition.merges,
		Members:      s.members,
		Idempotency:  encodeMemory(s.memory),
	})
	if err != nil {
		return fmt.Errorf("install segment %s: %w", info.ID, err)
	}
	if err := vfs.WriteFileAtomic(l.opts.FS, l.opts.Dir, manifestName, state.Encode()); err != nil {
		return fmt.Errorf("install segment %s: write the manifest: %w", info.ID, err)
	}
	l.swap(func(v *view) {
		v.state = state
		v.tables = append(v.tables[:len(v.tables):len(v.tables)], t)
		v.sealed = v.sealed[: len(v.sealed)-1 : len(v.sealed)-1]
	})
	t.release() // the builder's reference; the views have their own
	l.setInstalled(state.TreeSize)
	l.compactor.poke()
	l.opts.Logger.Info("segment installed", "segment", info.ID, "manifest_version", state.Version, "applied_index",
		state.AppliedIndex)
	l.notify()
	return nil
}

// recordSealed notes that the log records a segment which this replica has sealed.
func (l *Ledger) recordSealed(s *sealed, d tlog.Descriptor) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if s.built != nil { // in this moment, perhaps
		if err := sameDescriptor(d, descriptorOf(s.info)); err != nil {
			return err
		}
	}
	s.recorded = &d // from here on build compares
	l.flusher.poke()
	return nil
}

// compareSealed compares a segment that the log records with the one that this replica has built, if it has.
func (l *Ledger) compareSealed(s *sealed, d tlog.Descriptor) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if s.built == nil {
		return nil
	}
	return sameDescriptor(d, descriptorOf(s.info))
}

func descriptorOf(i sstable.Info) tlog.Descriptor {
	return tlog.Descriptor{FirstSeq: i.FirstSeq, LastSeq: i.LastSeq, Entries: i.Entries, Root: i.Root}
}

func segmentOf(i sstable.Info) manifest.Segment {
	return manifest.Segment{FirstSeq: i.FirstSeq, LastSeq: i.LastSeq, Entries: i.Entries, Bytes: i.Bytes, Root: i.Root,
		MinKey: i.MinKey, MaxKey: i.MaxKey, FirstTime: i.FirstTime, LastTime: i.LastTime, Tier: manifest.Local}
}
