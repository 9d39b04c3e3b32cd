package ledger

import (
	"errors"
	"fmt"
	"path"

	"github.com/scribe-ledger/scribe/tlog"
)

// Repair takes segment files that came whole, for segments whose own files are damaged, into use: the staging is one of
// this ledger's own Snapshot. The state stays as it is. For any goroutine; readers finish on what they hold.
//
// A crash in the middle leaves a segment's file in the incoming directory and none in its place, which Open reports, and
// a Staging finds.
func (l *Ledger) Repair(s *Staging) error {
	l.flushes.Lock()
	defer l.flushes.Unlock()
	if s.next < len(s.parts) || len(s.Missing()) > 0 {
		return errors.New("ledger: repair: not all segments are here")
	}
	replaced := make(map[uint64]*table)
	for _, p := range s.parts {
		id := tlog.SegmentID(p.want.FirstSeq, p.want.LastSeq)
		if !p.moves && !s.opts.Doubt[id] {
			continue
		}
		if g, ok := l.peek().state.Segment(p.want.FirstSeq); !ok || partOf(g) != partOf(p.want) {
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
				tables[i] = r
			}
		}
		v.tables = tables
	})
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
