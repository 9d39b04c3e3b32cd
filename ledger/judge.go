package ledger

import (
	"errors"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// judge checks a command that is being applied against the entries before it: conditions, and that what is deleted is live.
// What is older than its findings they tell. The first result is the outcome that stops it.
func (l *Ledger) judge(w *Command, found Findings) (outcome, err error) {
	older := found.Newest
	for i := range w.Ops {
		op := &w.Ops[i]
		if !op.asks() {
			continue
		}
		newest, err := l.newest(op.Key, found.Size, ^uint64(0))
		if err != nil {
			return nil, err
		}
		if len(older) > 0 {
			if !newest.Exists {
				newest = older[0]
			}
			older = older[1:]
		}
		for _, c := range op.Conditions {
			if !c.holds(newest) {
				return &PreconditionError{OpIndex: i, Exists: newest.Exists, Seq: newest.Seq}, nil
			}
		}
		if op.Op == tlog.OpDelete && !newest.Live {
			return &NotFoundError{OpIndex: i, Tombstone: newest.Exists, Seq: newest.Seq}, nil
		}
	}
	return nil, nil
}

func (c *Condition) holds(newest Finding) bool {
	switch c.Kind {
	case IfMatch:
		return newest.Live && (c.Any || slices.Contains(c.Seqs, newest.Seq))
	default: // IfNoneMatch; decodeCommand admits no other
		return !newest.Live || (!c.Any && !slices.Contains(c.Seqs, newest.Seq))
	}
}

// judgeApplied is judge, and waits where the store has to be asked. With findings that takes a segment that was sealed after
// them and is in the store only: a log that is replayed has such, and a state that came as a snapshot. Without any, which is
// how commands were once, the version may be anywhere. No outcome may be made up, so it asks until it knows; a replica that
// waits here falls behind and holds nobody up. Without goroutines of its own the ledger leaves the asking to its owner,
// who calls ApplyBatch again for what is left.
func (l *Ledger) judgeApplied(w *Command, found Findings) (outcome, err error) {
	if found.Size > l.next {
		found = Findings{} // of entries that were never committed: no member finds that, and nothing may be passed over for it
	}
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		outcome, err := l.judge(w, found)
		l.noteStuck(err)
		if cold := (*ColdError)(nil); l.opts.Manual || !errors.As(err, &cold) {
			return outcome, err
		}
		if l.opts.Superseded != nil && l.opts.Superseded() {
			return nil, err
		}
		if err := l.show(); err != nil { // nobody waits for what is applied
			return nil, err
		}
		l.metrics.applyStalls.Inc()
		l.opts.Logger.Warn("apply waits for a segment in the object store", "error", err, "retry_in", pause)
		select {
		case <-l.closing.Done():
			return nil, ErrClosed
		case <-l.opts.After(pause):
		}
	}
}

// stuckApply is what ApplyStuck tells.
type stuckApply struct {
	since  time.Time
	damage error
}

// noteStuck takes note of what a committed command met that was judged.
func (l *Ledger) noteStuck(err error) {
	was := l.stuck.Load()
	switch damaged := errors.As(err, new(*ColdError)) && errors.As(err, new(*vfs.CorruptError)); {
	case !damaged && was != nil:
		l.stuck.Store(nil)
	case damaged && was == nil:
		l.stuck.Store(&stuckApply{l.opts.Now(), err})
	}
}

// ApplyStuck says since when ApplyBatch has waited for an object that is damaged, or missing, and what it met; a nil damage
// that it does not. It may be so for good: an object that no member needs any more, since the others have merged its segment
// later on in the log, is made good by nobody. Then another member's state helps, which is beyond that entry.
func (l *Ledger) ApplyStuck() (since time.Time, damage error) {
	s := l.stuck.Load()
	if s == nil {
		return time.Time{}, nil
	}
	return s.since, s.damage
}

// newest returns the newest version of a key with from <= seq <= maxSeq.
func (l *Ledger) newest(key []byte, from, maxSeq uint64) (Finding, error) {
	v, err := l.acquire()
	if err != nil {
		return Finding{}, err
	}
	defer v.release()
	return v.newest(key, from, maxSeq)
}
