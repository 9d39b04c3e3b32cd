package ledger

import (
	"errors"
	"fmt"
	"path"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tlog"
)

// Repair takes segment files that came whole, for segments whose own files are damaged, into use: the staging is one of
// this ledger's own Snapshot. The state stays as it is, but that a segment which was evicted has its file again. For any
// goroutine; readers finish on what they hold.
//
// A crash in the middle leaves a segment's file in the incoming directory and none in its place, which Open reports, and
// a Staging finds.
func (l *Ledger) Repair(s *Staging) error {
	for _, p := range s.parts {
		if !p.moves || !p.want.Object.Exists() {
			continue
		}
		// What came may have another length than the file before, which the manifest allows once it lists the object.
		err := l.ListObject(infoOf(p.want).ID)
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
			if err := l.putAside(l.segmentDir(), path.Base(to)); err != nil {
				return fmt.Errorf("ledger: repair segment %s: %w", id, err)
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
