package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/scribe-ledger/scribe/manifest"
)

// maxFetches bounds how many segments come at a time: each holds a buffer of flushBufferBytes, and one table open.
const maxFetches = 16

// FetchProgress is how far a FetchAll is.
type FetchProgress struct {
	Segments, SegmentsDone int
	Bytes, BytesDone       uint64 // of their objects; what had come in an earlier try counts as done
}

// FetchAll brings the files of all segments here that are only in the store, several at a time (default 4, at most 16), and
// tells progress as they come, one call at a time. What has come outlives an error, and the process: the next call goes on
// with it. Evict and Fetch wait meanwhile. Segments that are evicted later are not brought back.
func (l *Ledger) FetchAll(ctx context.Context, parallel int, progress func(FetchProgress)) error {
	if l.opts.Cold == nil {
		return ErrNoCold
	}
	if parallel <= 0 {
		parallel = 4
	}
	l.moving.Lock()
	defer l.moving.Unlock()
	f := fetchAll{l: l, tell: progress}
	for { // a merge may have made another cold segment of some meanwhile
		cold, err := l.coldTables()
		if err != nil || len(cold) == 0 {
			return err
		}
		f.begin(cold)
		group, within := errgroup.WithContext(ctx)
		group.SetLimit(min(parallel, maxFetches))
		for _, c := range cold { // also after an error, so that each lets go of its table
			group.Go(func() error { return f.fetch(within, c) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
}

// coldTable is a segment that is in the store only, and the table over it; it has a reference.
type coldTable struct {
	manifest.Segment
	table *table
}

func (l *Ledger) coldTables() (out []coldTable, err error) {
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	defer v.release()
	for i, t := range v.tables {
		if t.cold() {
			g := v.state.Segments[i]
			g.Object = t.object
			t.refs.Add(1)
			out = append(out, coldTable{g, t})
		}
	}
	return out, nil
}

// fetchAll is one call of FetchAll. The ledger's moving is held.
type fetchAll struct {
	l    *Ledger
	tell func(FetchProgress)

	mu  sync.Mutex
	now FetchProgress // guarded by mu, which is held while it is told
}

func (f *fetchAll) begin(cold []coldTable) {
	f.add(func(p *FetchProgress) {
		p.Segments += len(cold)
		for _, c := range cold {
			p.Bytes += c.Object.Bytes
		}
	})
}

func (f *fetchAll) add(edit func(*FetchProgress)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(&f.now)
	if f.tell != nil {
		f.tell(f.now)
	}
}

// fetch brings one segment's file.
func (f *fetchAll) fetch(ctx context.Context, c coldTable) error {
	defer c.table.release()
	if err := ctx.Err(); err != nil {
		return err
	}
	id := infoOf(c.Segment).ID
	f.l.pin(id)
	defer f.l.unpin(id)
	come := func(n int) { f.add(func(p *FetchProgress) { p.BytesDone += uint64(n) }) }
	whole, name, err := f.l.fetchWhole(ctx, c.Segment, c.table.file, come)
	if err == nil {
		err = f.l.exchange(c.table, whole, name)
		whole.release()
	}
	if err != nil && !errors.Is(err, ErrNoSegment) { // merged meanwhile: what it was merged into comes
		return fmt.Errorf("fetch segment %s: %w", id, err)
	}
	f.add(func(p *FetchProgress) { p.SegmentsDone++ })
	return nil
}
