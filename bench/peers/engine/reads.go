package engine

import (
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/bench/dataset"
)

const (
	maxPointReads = 500_000
	shortScans    = 50_000
	shortScan     = 100
	fullScans     = 2 // of at most maxScanned entries
	maxScanned    = 5_000_000
)

// runHot reads with a cache that holds everything.
func runHot(p plan) (out figures, err error) {
	s, err := open(p.Side, p.settings(p.CacheBytes))
	if err != nil {
		return nil, err
	}
	// Warm: neighbours in key order are in one block, and 16 of them are always in fewer than 16 blocks.
	step := max(1, p.Entries/(1<<22))
	for i := 0; i < p.Entries; i += step {
		if err := present(s, uint64(i)); err != nil {
			return nil, err
		}
	}
	reads := min(p.Entries, maxPointReads)
	err = errors.Join(
		points(&out, "point reads, present, hot cache, reads/s", reads, p.Entries, func(i uint64) error { return present(s, i) }),
		points(&out, "point reads, absent, reads/s", reads, p.Entries, func(i uint64) error { return absent(s, i) }),
		scans(&out, s, "forward scan, entries/s", false, p.Entries),
		scans(&out, s, "reverse scan, entries/s", true, p.Entries),
		short(&out, s, p.Entries))
	return out, errors.Join(err, s.Close())
}

// runTenth reads with a cache of a tenth of the keys and values.
func runTenth(p plan) (out figures, err error) {
	memory := watchMemory()
	s, err := open(p.Side, p.settings(int64(p.Entries)*dataset.EntryBytes/10))
	if err != nil {
		return nil, err
	}
	reads := min(p.Entries, maxPointReads)
	r := random{state: 1 << 50}
	for range reads / 2 {
		if err := present(s, r.below(p.Entries)); err != nil {
			return nil, err
		}
	}
	err = points(&out, "point reads, cache a tenth, reads/s", reads, p.Entries, func(i uint64) error { return present(s, i) })
	now, uerr := used()
	out.add("peak memory of reads, cache a tenth, MiB", float64(now.peakResident)/(1<<20))
	out.add("the same without mapped files, MiB", float64(memory())/(1<<20))
	return out, errors.Join(err, uerr, s.Close())
}

// points times reads of random entries.
func points(out *figures, name string, reads, entries int, read func(i uint64) error) error {
	r := random{state: uint64(len(name)) << 32}
	began, err := used()
	for range reads {
		err = errors.Join(err, read(r.below(entries)))
	}
	ended, uerr := used()
	out.rate(name, reads, began, ended)
	return errors.Join(err, uerr)
}

func present(s store, i uint64) error {
	var b [dataset.EntryBytes]byte
	kv := dataset.AppendValue(dataset.AppendKey(b[:0], i), i)
	if ok, err := s.Get(kv[:dataset.KeyBytes], kv[dataset.KeyBytes:]); err != nil || !ok {
		return fmt.Errorf("entry %d is missing or another: %w", i, err)
	}
	return nil
}

func absent(s store, i uint64) error {
	var b [dataset.KeyBytes]byte
	if ok, err := s.Get(dataset.AppendKey(b[:0], absentFrom+i), nil); err != nil || ok {
		return fmt.Errorf("key %d is there: %w", absentFrom+i, err)
	}
	return nil
}

func scans(out *figures, s store, name string, reverse bool, entries int) error {
	want := min(entries, maxScanned)
	began, err := used()
	for range fullScans {
		n, serr := s.Scan(nil, reverse, want)
		if err = errors.Join(err, serr); err == nil && n != want {
			err = fmt.Errorf("a scan found %d of %d entries", n, want)
		}
	}
	ended, uerr := used()
	out.rate(name, fullScans*want, began, ended)
	return errors.Join(err, uerr)
}

func short(out *figures, s store, entries int) error {
	r, count := random{state: 1 << 40}, min(entries, shortScans)
	began, err := used()
	for range count {
		var b [dataset.KeyBytes]byte
		n, serr := s.Scan(dataset.AppendKey(b[:0], r.below(entries)), false, shortScan)
		if err = errors.Join(err, serr); err == nil && n == 0 {
			err = errors.New("a scan from a key that is there found nothing")
		}
	}
	ended, uerr := used()
	out.rate("short scans of 100, scans/s", count, began, ended)
	return errors.Join(err, uerr)
}
