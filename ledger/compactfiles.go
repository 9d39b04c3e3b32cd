package ledger

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
)

// leftovers are the files of segments that were merged. A file goes once the manifest without its segment is durable, no
// view and no copy for another member holds its table, and no staging has found it of use. What is left of them when
// the ledger closes is removed by the next Open.
type leftovers struct {
	mu   sync.Mutex
	held map[string]bool // ids of those that somebody holds yet; guarded by mu
	ids  []string        // of those that nobody holds any more; guarded by mu
	pins map[string]int  // ids of files that a staging uses where they are; guarded by mu
	// struck are the files that have lost their names, and only have to be removed; the compactor's.
	struck []string
}

// doom has a segment's file go with its last reader. The caller holds a reference.
func (l *Ledger) doom(t *table) {
	g := &l.leftovers
	g.mu.Lock()
	if g.held == nil {
		g.held = make(map[string]bool)
	}
	g.held[tlog.SegmentID(t.first, t.last)] = true
	g.mu.Unlock()
	t.doomed.Store(true)
}

// bury takes the id of a merged segment whose last reader has gone. For any goroutine.
func (l *Ledger) bury(id string) {
	l.leftovers.mu.Lock()
	delete(l.leftovers.held, id)
	l.leftovers.ids = append(l.leftovers.ids, id)
	l.leftovers.mu.Unlock()
	l.compactor.poke()
}

// buryStrays gives up the files of smaller merges that were finished before a restart, and then overtaken by one that is
// installed now.
func (l *Ledger) buryStrays(span manifest.Range) {
	names, err := l.opts.FS.List(l.segmentDir())
	if err != nil {
		return // the next Open removes them
	}
	for _, name := range names {
		id := strings.TrimSuffix(name, segmentSuffix)
		first, last, err := tlog.ParseSegmentID(id)
		if err != nil || id == name || first < span.FirstSeq || last > span.LastSeq ||
			first == span.FirstSeq && last == span.LastSeq {
			continue
		}
		l.leftovers.mu.Lock()
		held := l.leftovers.held[id]
		l.leftovers.mu.Unlock()
		if !held {
			l.bury(id)
		}
	}
}

// pin keeps a segment's file where it is, whether the state lists it or not, until unpin.
func (l *Ledger) pin(id string) {
	l.leftovers.mu.Lock()
	defer l.leftovers.mu.Unlock()
	if l.leftovers.pins == nil {
		l.leftovers.pins = make(map[string]int)
	}
	l.leftovers.pins[id]++
}

func (l *Ledger) unpin(id string) {
	l.leftovers.mu.Lock()
	defer l.leftovers.mu.Unlock()
	if l.leftovers.pins[id]--; l.leftovers.pins[id] == 0 {
		delete(l.leftovers.pins, id)
		l.compactor.poke()
	}
}

func (l *Ledger) pinned(id string) bool {
	l.leftovers.mu.Lock()
	defer l.leftovers.mu.Unlock()
	return l.leftovers.pins[id] > 0
}

// sweep does the next piece of removing what may go: it takes their names from the files, or removes one of them.
func (l *Ledger) sweep() (worked bool, err error) {
	if worked, err = l.strike(); worked || err != nil {
		return worked, err
	}
	if len(l.leftovers.struck) == 0 {
		return false, nil
	}
	if err := l.removeInSteps(l.leftovers.struck[0]); err != nil {
		return true, err
	}
	l.leftovers.struck = l.leftovers.struck[1:]
	return true, nil
}

// strike takes their names from the files that may go. That is quick, and so is done while nothing else can happen to
// them; the removal of large files is not.
func (l *Ledger) strike() (worked bool, err error) {
	l.leftovers.mu.Lock()
	waiting := len(l.leftovers.ids)
	l.leftovers.mu.Unlock()
	if waiting == 0 {
		return false, nil
	}
	l.flushes.Lock() // no state takes the place of this one meanwhile
	defer l.flushes.Unlock()
	needed := l.needed()
	g := &l.leftovers
	g.mu.Lock() // and nobody finds a file of use
	defer g.mu.Unlock()
	var kept []string
	for i, id := range g.ids {
		if g.pins[id] > 0 {
			kept = append(kept, id)
			continue
		}
		for _, name := range [...]string{l.segmentFile(id), l.metaFile(id)} {
			if needed[name] { // another state has brought it back, or it was evicted, or fetched
				continue
			}
			struck := name + struckSuffix
			err := l.opts.FS.Rename(name, struck)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				g.ids = append(kept, g.ids[i:]...)
				return true, err
			}
			g.struck = append(g.struck, struck)
			worked = true
		}
	}
	g.ids = kept
	return worked, nil
}

const (
	// struckSuffix is that of a file which is about to be removed. What a crash leaves of them, the next Open removes.
	struckSuffix = ".gone" + temporarySuffix
	// removeStepBytes is how much of a file is given back at a time, and removePause how long others have the file system
	// to themselves in between. To free gigabytes at once takes a file system's journal for 100 ms and more, and a new log
	// file waits for that.
	removeStepBytes = 64 << 20
	removePause     = 5 * time.Millisecond
)

// removeInSteps removes a file that nobody has open.
func (l *Ledger) removeInSteps(name string) error {
	f, err := l.opts.FS.OpenRW(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	size, err := f.Size()
	for size -= removeStepBytes; err == nil && size > 0; size -= removeStepBytes {
		if err = f.Truncate(size); err == nil {
			err = l.rest(removePause)
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return l.opts.FS.Remove(name)
}

// needed are the files that this state stands on: those of its segments, the meta tails of cold ones, and what is built
// for it.
func (l *Ledger) needed() map[string]bool {
	v := l.peek()
	out := make(map[string]bool, len(v.tables))
	for _, t := range v.tables {
		out[l.fileOf(t)] = true
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	for _, m := range l.merged {
		out[l.fileOf(m.table)] = true
	}
	return out
}

// fileOf is the file that a table stands on.
func (l *Ledger) fileOf(t *table) string {
	id := tlog.SegmentID(t.first, t.last)
	if t.cold() {
		return l.metaFile(id)
	}
	return l.segmentFile(id)
}

// removeMerged takes away, when the ledger is opened, the files of segments that the manifest has merged. Files that
// could be of a merge to come stay, so that it need not be built again; so do those behind the manifest's end, over
// which the replay builds.
func (l *Ledger) removeMerged(state *manifest.State) error {
	names, err := l.opts.FS.List(l.segmentDir())
	if err != nil {
		return err
	}
	for _, name := range names {
		first, last, err := tlog.ParseSegmentID(strings.TrimSuffix(name, segmentSuffix))
		if err != nil || !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		g, ok := state.Segment(first)
		if !ok || g.LastSeq < last || g.FirstSeq == first && g.LastSeq == last {
			continue
		}
		l.opts.Logger.Info("the file of a merged segment is removed", "file", name)
		if err := l.opts.FS.Remove(l.segmentFile(strings.TrimSuffix(name, segmentSuffix))); err != nil {
			return err
		}
	}
	return nil
}

// openUnknown opens the file of a segment of which only the seqs are known.
func (l *Ledger) openUnknown(name string, span manifest.Range) (*table, error) {
	id := tlog.SegmentID(span.FirstSeq, span.LastSeq)
	return l.openAs(name, sstable.Info{ID: id, FirstSeq: span.FirstSeq, LastSeq: span.LastSeq}, nil)
}
