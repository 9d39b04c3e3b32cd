package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tier"
)

// archiving is what the leader knows of the archive in the store.
type archiving struct {
	due       bool            // there may be something to publish
	tried     uint64          // publications that were tried, whatever came of them
	term      uint64          // in which known was found out
	known     bool            // published is what the store says, or this leader has published it since
	published published       // the newest state, as far as this node knows
	candidate *manifest.State // to be published once all its segments have objects; of the job that publishes
	pause
}

// published is a published state.
type published struct {
	size     uint64 // of its tree
	at       time.Time
	term     uint64          // in which this leader has published it, or found it
	manifest string          // its object; empty: none
	objects  map[string]bool // of the segments that it names
}

// sweeping is where the sweep of what is left over stands.
type sweeping struct {
	cursor tier.SweepCursor // of the job that sweeps
	pause
}

// sweepShare is how many sweeps begin in the time after which something may be deleted.
const sweepShare = 4

func (t *tiering) nextPublication(now time.Time) *tierWork {
	a := &t.archive
	if !t.leads() {
		a.known = false
		return nil
	}
	if term := t.n.status.Load().Term; a.term != term {
		a.term, a.known, a.pause = term, false, pause{}
	}
	if !a.due || t.busy[jobPublish] > 0 || now.Before(a.until) {
		return nil
	}
	a.due = false
	was, known, candidate, term := a.published, a.known, a.candidate, a.term
	return &tierWork{jobPublish, func(ctx context.Context) { t.publish(ctx, was, known, candidate, term) }}
}

// publish publishes what can be, and notes what is.
func (t *tiering) publish(ctx context.Context, was published, known bool, candidate *manifest.State, term uint64) {
	now, candidate, err := t.publishNewest(ctx, was, known, candidate)
	t.mu.Lock()
	defer t.mu.Unlock()
	a := &t.archive
	a.candidate = candidate // whatever comes of it
	a.tried++
	if ctx.Err() != nil && err != nil {
		return
	}
	t.met(jobPublish, err)
	if err != nil {
		a.due = true
		d := a.failed(t.n.opts.Now(), err, t.rand.Float64())
		if isForeign(err) {
			t.lose(jobPublish, err)
			return
		}
		t.n.opts.Logger.Warn("the archive could not be published; it is tried again", "error", err, "retry_in", d)
		return
	}
	a.pause = pause{}
	if now.size > was.size {
		t.n.opts.Logger.Info("archive published", "size", now.size, "segments", len(now.objects))
	}
	if a.term == term {
		if now.at = a.published.at; now.size != a.published.size || !known {
			now.at = t.n.opts.Now()
		}
		now.term = term
		a.published, a.known = now, true
		t.shown.Store(&now)
	}
}

func (t *tiering) nextSweep(now time.Time) *tierWork {
	if t.busy[jobSweep] > 0 || !t.leads() || !t.archive.known || now.Before(t.sweep.until) {
		return nil
	}
	return &tierWork{jobSweep, t.sweepOn}
}

// sweepOn sweeps one page.
func (t *tiering) sweepOn(ctx context.Context) {
	t.mu.Lock()
	nonce, cursor, size := t.rand.Uint64(), t.sweep.cursor, t.archive.published.size
	store := &pages{t.opts.Store, t, t.archive.published.manifest}
	t.mu.Unlock()
	found, err := tier.Sweep(ctx, store, tier.SweepOptions{Keep: t.keepsObject, Instead: t.insteadOf,
		Published: size, Uploading: t.uploading, Age: t.opts.DeleteAfter, Pages: 1,
		Nonce: func() uint64 { return nonce }}, &cursor)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep.cursor = cursor
	t.metrics.swept.Add(float64(found.Deleted + found.Aborted))
	if found.Deleted+found.Aborted > 0 {
		t.n.opts.Logger.Info("left over objects and uploads deleted", "objects", found.Deleted, "bytes", found.Bytes,
			"uploads", found.Aborted)
	}
	now := t.n.opts.Now()
	switch {
	case ctx.Err() != nil:
	case isForeign(err):
		if t.opening.done {
			t.lose(jobSweep, err)
		}
	case errors.Is(err, errOvertaken):
		t.archive.known, t.archive.due = false, true
	case err != nil:
		t.met(jobSweep, err)
		d := t.sweep.failed(now, err, t.rand.Float64())
		t.n.opts.Logger.Warn("the object store could not be swept; it is tried again", "error", err, "retry_in", d)
	default:
		t.met(jobSweep, nil)
		t.sweep.pause = pause{}
		if found.Done {
			t.sweep.until = now.Add(t.opts.DeleteAfter / sweepShare)
		}
	}
}

// keepsObject says whether an object is needed, or may be. It is when it is that of a segment which is recorded, whether that is
// known to be uploaded or not; when the published state names it; and when it is an input of a merge of which the
// object is not there yet, or not published: until then members may read the input, and the archive consists of it.
func (t *tiering) keepsObject(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := tier.ParseSegmentName(name)
	a := &t.archive
	if err != nil || !t.leads() || !a.known || a.published.objects[name] || t.uploads[name] != nil {
		return true
	}
	span := manifest.Range{FirstSeq: p.FirstSeq, LastSeq: p.LastSeq}
	now, ok := t.n.ledger.Holder(span)
	if !ok {
		return span.LastSeq >= a.published.size || !t.cutsRecorded(span)
	}
	return tier.SegmentName(now.FirstSeq, now.LastSeq, now.Root) == name || !a.published.objects[now.Object.Name]
}

// cutsRecorded says that a segment of the range cannot be, nor become, one of this ledger's: merges take away boundaries, and
// make none, so one within a recorded segment was another cluster's, which was restored from an earlier state.
func (t *tiering) cutsRecorded(span manifest.Range) bool {
	return slices.ContainsFunc(t.n.ledger.Recorded(), func(r manifest.Recorded) bool {
		return r.FirstSeq < span.FirstSeq && span.FirstSeq <= r.LastSeq || r.FirstSeq <= span.LastSeq && span.LastSeq < r.LastSeq
	})
}

// insteadOf names the object of the merge that a segment was an input of; empty when there is none. Members that lag behind
// the merge, and scans that have begun before it, read the input until they take the merge's object.
func (t *tiering) insteadOf(name string) string {
	p, err := tier.ParseSegmentName(name)
	if err != nil {
		return ""
	}
	now, ok := t.n.ledger.Holder(manifest.Range{FirstSeq: p.FirstSeq, LastSeq: p.LastSeq})
	if !ok || now.FirstSeq == p.FirstSeq && now.LastSeq == p.LastSeq {
		return ""
	}
	return now.Object.Name
}

// uploading says whether this node is making an object.
func (t *tiering) uploading(name string) bool {
	if t.n.scrub.isMaking(name) {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.uploads[name]
	return u != nil && u.cancel != nil
}
