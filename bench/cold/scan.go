package cold

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/bench/dataset"
	"github.com/scribe-ledger/scribe/bench/phase"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tier"
)

// runScan reads all entries of a cold ledger, in order of keys.
func runScan(p plan) (out figures, err error) {
	m, err := p.openMember(p.Dir, dataPrefix, nil, true, coldOnly)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.end()) }()
	if err := errors.Join(m.allCold(), m.calm()); err != nil {
		return nil, err
	}
	var stored int64
	for _, g := range m.Ledger().Placed() {
		stored += int64(g.Object.MetaOffset)
	}
	stop, err := p.profile()
	if err != nil {
		return nil, err
	}
	began, n, bytes := time.Now(), 0, 0
	it, err := m.Ledger().Scan(ledger.ScanOptions{AsOf: m.Ledger().NextSeq() - 1})
	if err != nil {
		return nil, err
	}
	for it.Next() {
		e := it.Entry()
		n++
		bytes += len(e.Key) + len(e.Value)
	}
	took := time.Since(began)
	if err := errors.Join(it.Err(), it.Close(), stop()); err != nil {
		return nil, err
	}
	if n != p.Entries || bytes != n*dataset.EntryBytes {
		return nil, fmt.Errorf("%d entries of %d bytes, want %d", n, bytes, p.Entries)
	}
	out.rate("scan", stored, took)
	out.add("scan, entries/s", float64(n)/took.Seconds())
	out.rate("scan, of keys and values", int64(bytes), took)
	return out, nil
}

// span is a piece of an object.
type span struct {
	object string
	off, n int64
}

// spans cuts the objects of what is published into pieces: all of them, or their blocks only.
func (p plan) spans(ctx context.Context, store tier.Store, blocksOnly bool) (list []span, bytes int64, err error) {
	a, err := archive.Read(ctx, store)
	if err != nil {
		return nil, 0, err
	}
	for _, g := range a.State.Segments {
		end := int64(g.Object.Bytes)
		if blocksOnly {
			end = int64(g.Object.MetaOffset)
		}
		for off := int64(0); off < end; off += p.PieceBytes {
			list = append(list, span{g.Object.Name, off, min(p.PieceBytes, end-off)})
		}
		bytes += end
	}
	return list, bytes, nil
}

// runScanPlain gets the same bytes as they are, and drops them.
func runScanPlain(p plan) (out figures, err error) {
	store, err := p.Bucket.open(dataPrefix, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctx := context.Background()
	list, bytes, err := p.spans(ctx, store, true)
	if err != nil {
		return nil, err
	}
	buffers := make(chan []byte, p.Gets)
	for range p.Gets {
		buffers <- make([]byte, p.PieceBytes)
	}
	began := time.Now()
	err = phase.Together(p.Gets, len(list), func(i int) error {
		buf := <-buffers
		defer func() { buffers <- buf }()
		return tier.ReadAt(ctx, store, list[i].object, buf[:list[i].n], list[i].off)
	})
	out.rate("scan: plain parallel GETs", bytes, time.Since(began))
	return out, err
}
