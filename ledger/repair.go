package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tlog"
)

// Repair takes segment files that came whole, for segments whose own files are damaged, into use: the staging is one of
// this ledger's own Snapshot. The state stays as it is, but that a segment which was evicted has its file again. For any
// goroutine; readers finish on what they hold.
//
// A file takes the place of the damaged one in one step: after a crash in the middle one of them is there.
func (l *Ledger) Repair(s *Staging) error {
	for _, p := range s.parts {
		if !p.moves || !p.want.Object.Exists() {
			continue
		}
		// What came may have another length than the file before, which the manifest allows once it lists the object.
		_, _, err := l.listObject(infoOf(p.want).ID, p.want.Object)
		if err != nil && !errors.Is(err, ErrNoSegment) && !errors.Is(err, ErrNoCold) {
			return fmt.Errorf("ledger: repair: %w", err)
		}
	}
	l.flushes.Lock()
	defer l.flushes.Unlock()
	if s.next < len(s.parts) || len(s.Missing()) > 0 {
		return errors.New("ledger: repair: not all segments are here")
	}
	replaced := make(map[uint64]*table)
	state := l.peek().state
	for _, p := range s.parts {
		id := tlog.SegmentID(p.want.FirstSeq, p.want.LastSeq)
		if !p.moves && !s.opts.Doubt[id] {
			continue
		}
		g, ok := state.Segment(p.want.FirstSeq)
		if !ok || partOf(g) != partOf(p.want) {
			continue // not part of the state any more
		}
		if p.moves { // else its own file proved whole after all
			to := l.fileOf(p.table)
			if to == l.segmentFile(id) {
				l.keepAside(to)
			}
			if err := l.opts.FS.Rename(path.Join(l.incomingDir(), path.Base(to)), to); err != nil {
				return fmt.Errorf("ledger: repair segment %s: %w", id, err)
			}
		}
		replaced[p.want.FirstSeq] = p.table
		if g.Object.Exists() { // the file may be another than before, and may have been in the store only
			tier := manifest.Both
			if p.table.cold() {
				tier = manifest.Cold
			}
			next, err := state.WithObject(g.FirstSeq, g.LastSeq, g.Root, g.Object, tier, p.table.Info().Bytes)
			if err != nil {
				return fmt.Errorf("ledger: repair segment %s: %w", id, err)
			}
			state = next
		}
	}
	if err := l.opts.FS.SyncDir(l.segmentDir()); err != nil {
		return fmt.Errorf("ledger: repair: %w", err)
	}
	if err := l.opts.FS.SyncDir(l.incomingDir()); err != nil {
		return fmt.Errorf("ledger: repair: %w", err)
	}
	l.swap(func(v *view) {
		tables := append([]*table(nil), v.tables...)
		for i, t := range tables {
			if r := replaced[t.first]; r != nil {
				if tables[i] = r; t.cold() != r.cold() {
					l.doom(t) // it stands on another file, of another name
				}
			}
		}
		v.tables, v.state = tables, state
	})
	l.notify()
	l.damage.mu.Lock()
	for _, t := range replaced {
		id := t.Info().ID
		delete(l.damage.files, l.segmentFile(id))
		l.opts.Logger.Info("segment repaired", "segment", id)
	}
	l.damage.mu.Unlock()
	s.Close()
	return nil
}

// keepAside has a damaged file stand among those that are kept for people to look at, too, for when another takes its
// place. It is not kept beyond so many of them, nor where that cannot be done.
func (l *Ledger) keepAside(name string) {
	fsys, dir := l.opts.FS, path.Join(l.opts.Dir, damagedName)
	aside := path.Join(dir, path.Base(name))
	err := fsys.MkdirAll(dir)
	var names []string
	if err == nil {
		names, err = fsys.List(dir)
	}
	if err == nil && len(names) < maxDamagedFiles {
		if err = fsys.Remove(aside); err == nil || errors.Is(err, fs.ErrNotExist) { // of an earlier repair
			err = fsys.Link(name, aside)
		}
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may have been lost
		l.opts.Logger.Warn("a damaged file is not kept", "file", name, "error", err)
	}
}
