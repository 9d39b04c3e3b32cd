package sstable

import (
	"errors"

	"github.com/scribe-ledger/scribe/vfs"
)

// Hole is a run of entries, in segment order, that cannot be read for one and the same damage.
type Hole struct {
	Ordinal uint64 // of the first one
	Entries uint64
	Damage  *vfs.CorruptError
	After   []byte // the key before it; nil at the segment's beginning
	Before  []byte // the key behind it; nil at the segment's end, or when another hole follows
}

// Survey walks the entries in segment order, for tools that look at a damaged segment: it gives visit those that can be
// read, and hole what cannot, and goes on behind it. It is no verification: it compares checksums and bounds, not hashes.
// Either function may be nil. Their errors, and those of the source, end the walk and are returned.
func (t *Table) Survey(opts ScanOptions, visit func(ordinal uint64, e *Entry) error, hole func(Hole) error) error {
	opts.NoFill = true
	var last []byte
	for at := opts.From; at < t.props.Entries; {
		opts.From = at
		it := t.ByOrdinal(opts)
		for it.Next() {
			if visit != nil {
				if err := visit(at, it.Entry()); err != nil {
					return err
				}
			}
			last = append(last[:0], it.Entry().Key...)
			at++
		}
		if it.Err() == nil {
			return nil
		}
		h := Hole{Ordinal: at}
		if !errors.As(it.Err(), &h.Damage) {
			return it.Err()
		}
		if at > 0 && len(last) > 0 {
			h.After = append([]byte(nil), last...)
		}
		h.Entries, h.Before = t.passOver(at, opts.KeysOnly, h.Damage)
		at += h.Entries
		if hole != nil {
			if err := hole(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// passOver counts the entries from an ordinal on that fail with the same damage, and returns the key behind them. Such a
// run is what one block, or one part of the index, holds, and has an end: it is sought in steps that double.
func (t *Table) passOver(from uint64, keysOnly bool, as *vfs.CorruptError) (n uint64, before []byte) {
	same := func(at uint64) bool {
		_, err := t.At(at, keysOnly)
		var corrupt *vfs.CorruptError
		return errors.As(err, &corrupt) && corrupt.Offset == as.Offset
	}
	bad, good, step := from, t.props.Entries, uint64(1)
	for bad+step < good && same(bad+step) {
		bad, step = bad+step, 2*step
	}
	good = min(good, bad+step)
	for bad+1 < good {
		if mid := bad + (good-bad)/2; same(mid) {
			bad = mid
		} else {
			good = mid
		}
	}
	if good < t.props.Entries {
		if e, err := t.At(good, true); err == nil {
			before = append([]byte{}, e.Key...)
		}
	}
	return good - from, before
}
