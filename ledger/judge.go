package ledger

import (
	"errors"
	"slices"

	"github.com/scribe-ledger/scribe/tlog"
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
		if cold := (*ColdError)(nil); l.opts.Manual || !errors.As(err, &cold) {
			return outcome, err
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

// newest returns the newest version of a key with from <= seq <= maxSeq.
func (l *Ledger) newest(key []byte, from, maxSeq uint64) (Finding, error) {
	v, err := l.acquire()
	if err != nil {
		return Finding{}, err
	}
	defer v.release()
	return v.newest(key, from, maxSeq)
}
