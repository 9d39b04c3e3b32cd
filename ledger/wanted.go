package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/vfs"
)

// Want is a command that the state machine would like to see in the log. Only the leader proposes it. A want that was
// proposed twice, or is out of date when it is applied, does nothing.
type Want struct {
	// Key is the same for the same want, so that the proposer can tell which ones are under way.
	Key  WantKey
	Data []byte // the command, with time zero
}

// WantKey identifies a Want.
type WantKey struct {
	Kind  commandKind
	First uint64 // first seq of the memtable to seal, or of the segment to record or to make; the size of a check
	Last  uint64 // last seq of the segment to record or to make
}

// IsMerge says whether it wants segments merged.
func (k WantKey) IsMerge() bool { return k.Kind == kindMerge }

// Wanted returns what a ledger whose node decides alone wants proposed now: what WantedSeals and WantedMerges return, the
// record of each segment that is built and not recorded, and the newest root to be checked. Where others vote, they have
// to agree on the roots first (BuiltRoots, MergedRoots, PendingChecks).
func (l *Ledger) Wanted(now time.Time) []Want {
	out := append(l.WantedSeals(now), l.WantedMerges()...)
	for _, d := range append(l.BuiltRoots(), l.MergedRoots()...) {
		out = append(out, RecordWant(d))
	}
	if pending := l.PendingChecks(); len(pending) > 0 {
		out = append(out, CheckWant(pending[len(pending)-1]))
	}
	return out
}

// WantedSeals returns the seal of an active memtable that is large or old enough. An idle ledger wants none: a memtable
// that holds the ledger's own entries only is never too old.
func (l *Ledger) WantedSeals(now time.Time) []Want {
	active := l.peek().active
	_, size, client, oldest := active.size()
	old := l.opts.SealAge > 0 && client > 0 && now.UnixMicro()-oldest >= l.opts.SealAge.Microseconds()
	if size < l.opts.SealBytes && !old {
		return nil
	}
	return []Want{{Key: WantKey{Kind: kindSeal, First: active.first}, Data: encodeSeal(active.first)}}
}

// SealNow returns the command that seals the active memtable whatever its size. Its receipt's FirstSeq is the size of the
// ledger when it was applied: Installed must reach it for the seal to be complete.
func SealNow() []byte { return encodeSeal(sealAny) }

// Backlog says whether writes must wait for the flusher: too many sealed memtables, or an active one that has grown to
// twice its bound because no seal got through. cause is why the flusher is behind, nil when it is merely busy.
func (l *Ledger) Backlog() (full bool, cause error) {
	v := l.peek()
	_, size, _, _ := v.active.size()
	if len(v.sealed) < l.opts.MaxSealed && size < 2*l.opts.SealBytes {
		return false, nil
	}
	return true, l.flusher.lastError()
}

// Installed returns how many entries are in segments that the manifest on disk lists, and what the last flush step met.
func (l *Ledger) Installed() (through uint64, err error) {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	return l.installed, l.flusher.err
}

// WaitInstalled waits until Installed reaches through. It gives up with the context's error, with ErrClosed, or with
// the flusher's error when that is a full disk, damage or divergence, which waiting does not cure.
func (l *Ledger) WaitInstalled(ctx context.Context, through uint64) error {
	return l.waitFor(ctx, l.flusher, func() bool {
		installed, _ := l.Installed()
		return installed >= through
	})
}

// waitFor waits until done, which is looked at anew whenever something changes. It gives up with the error of the worker
// that brings it about when that is lasting; with that error, else the context's, when the context ends; with ErrClosed.
func (l *Ledger) waitFor(ctx context.Context, by *worker, done func() bool) error {
	for {
		// Taken before the look at what is done: a change after that look closes this channel.
		l.flushMu.Lock()
		err, changed := by.err, l.changed
		l.flushMu.Unlock()
		switch {
		case done():
			return nil
		case isLasting(err):
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if err != nil {
				return err
			}
			return ctx.Err()
		case <-l.stop:
			return ErrClosed
		}
	}
}

// isLasting says whether a worker's error is of a kind that waiting does not cure.
func isLasting(err error) bool {
	var corrupt *vfs.CorruptError
	var diverged *DivergedError
	return vfs.IsNoSpace(err) || errors.As(err, &corrupt) || errors.As(err, &diverged)
}

func (l *Ledger) setInstalled(through uint64) {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.installed = through
	l.broadcast()
}

// broadcast wakes whoever waits on changed. The caller holds flushMu.
func (l *Ledger) broadcast() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// notify tells the owner that Wanted or Installed may have changed.
func (l *Ledger) notify() {
	if l.opts.Notify != nil {
		l.opts.Notify()
	}
}

// Manifest describes the recorded state for people and tools.
func (l *Ledger) Manifest() ManifestInfo {
	v := l.peek()
	out := ManifestInfo{Version: v.state.Version, AppliedIndex: v.state.AppliedIndex, TreeSize: v.state.TreeSize,
		Settings: make(map[string]string, len(v.state.Settings))}
	for _, s := range v.state.Settings {
		out.Settings[s.Name] = s.Value
	}
	p := l.partition.Load()
	for _, s := range v.state.Segments {
		info := infoOf(s)
		// The manifest lists an object that the log has recorded once it is written for another reason.
		if r, ok := p.is(manifest.Range{FirstSeq: s.FirstSeq, LastSeq: s.LastSeq}); ok && r.Root == s.Root &&
			r.Object.Exists() && !s.Object.Exists() {
			s.Tier, s.Object = manifest.Both, r.Object
		}
		out.Segments = append(out.Segments, SegmentInfo{ID: info.ID, FirstSeq: s.FirstSeq, LastSeq: s.LastSeq,
			Entries: s.Entries, Bytes: s.Bytes, Root: s.Root, MinKey: s.MinKey, MaxKey: s.MaxKey, Tier: s.Tier.String(),
			Object: s.Object.Name})
	}
	return out
}
