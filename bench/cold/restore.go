package cold

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/scribe-ledger/scribe/bench/phase"
	"github.com/scribe-ledger/scribe/ledger"
)

// runFetch is a new node that begins with what is published, and brings all of it here, verified and durable, before it
// serves: the time is from the first request to the last segment.
func runFetch(p plan) (out figures, err error) {
	stop, err := p.profile()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	m, err := p.openMember(p.Dir, dataPrefix, nil, true, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.end()) }()
	var all ledger.FetchProgress
	err = m.Ledger().FetchAll(context.Background(), 0, func(f ledger.FetchProgress) { all = f })
	took := time.Since(began)
	if err := errors.Join(err, stop(), m.check(p)); err != nil {
		return nil, err
	}
	for _, g := range m.Ledger().Placed() {
		if g.Cold {
			return nil, fmt.Errorf("segment of seqs %d to %d is not here", g.FirstSeq, g.LastSeq)
		}
	}
	out.rate("restore, all fetched", int64(all.BytesDone), took)
	out.add("restore, all fetched, s", took.Seconds())
	return out, nil
}

// check reads some keys.
func (m *member) check(p plan) error {
	for i := range 100 {
		if err := m.get(drawn(i, p.Entries)); err != nil {
			return err
		}
	}
	return nil
}

// runServe is one that fetches nothing: the time is from the first request to the first read.
func runServe(p plan) (out figures, err error) {
	began := time.Now()
	m, err := p.openMember(p.Dir, dataPrefix, nil, true, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.end()) }()
	if err := m.get(drawn(0, p.Entries)); err != nil {
		return nil, err
	}
	took := time.Since(began)
	if err := errors.Join(m.allCold(), m.check(p)); err != nil {
		return nil, err
	}
	out.add("restore, serving reads, s", took.Seconds())
	return out, nil
}

// runDownload gets the same objects, as they are, into files, which are synced at the end.
func runDownload(p plan) (out figures, err error) {
	store, err := p.Bucket.open(dataPrefix, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctx := context.Background()
	list, bytes, err := p.spans(ctx, store, false)
	if err != nil {
		return nil, err
	}
	files := map[string]*os.File{}
	for _, x := range list {
		if files[x.object] == nil {
			f, err := os.Create(filepath.Join(p.Dir, filepath.Base(x.object)))
			if err != nil {
				return nil, err
			}
			defer f.Close()
			files[x.object] = f
		}
	}
	began := time.Now()
	err = phase.Together(p.Gets, len(list), func(i int) error {
		x := list[i]
		r, err := store.Get(ctx, x.object, x.off, x.n)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.NewOffsetWriter(files[x.object], x.off), r)
		return errors.Join(err, r.Close())
	})
	written := time.Since(began)
	for _, f := range files {
		err = errors.Join(err, f.Sync())
	}
	out.rate("restore: plain parallel GETs into files", bytes, written)
	out.rate("restore: plain parallel GETs into files, synced", bytes, time.Since(began))
	return out, err
}
