package engine

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/bench/dataset"
	"github.com/scribe-ledger/scribe/bench/phase"
)

// plan is what a child is told.
type plan struct {
	Side, Phase string
	Dir         string
	Entries     int
	CacheBytes  int64
	Writers     int
	Batch       int
	LogBytes    int64         // of keys and values in the log that is recovered
	Durable     int           // entries that are written durably
	Soak        time.Duration // how long durable writes go on, in place of Durable
	Zstd        bool
}

// figure is one thing that was measured. CPU is the processor time for it, in the same unit, 0 when it means nothing.
type figure struct {
	Name  string
	Value float64
	CPU   float64
}

// figures in the order in which they were measured.
type figures []figure

func (f *figures) add(name string, value float64) { *f = append(*f, figure{Name: name, Value: value}) }

// rate adds operations a second, and as CPU what they would be if all time were that of one processor.
func (f *figures) rate(name string, ops int, from, to usage) {
	*f = append(*f, figure{name, float64(ops) / to.at.Sub(from.at).Seconds(), float64(ops) / (to.cpu - from.cpu).Seconds()})
}

func (p plan) settings(cache int64) settings {
	return settings{Dir: p.Dir, CacheBytes: cache, MemtableBytes: 64 << 20, Zstd: p.Zstd}
}

// phases in the order in which they are run. bulk leaves what open and read find, crash what recover finds.
var phases = []struct {
	name string
	run  func(plan) (figures, error)
}{
	{"durable", runDurable}, {"bulk", runBulk}, {"open", runOpen}, {"hot", runHot}, {"tenth", runTenth},
	{"crash", runCrash}, {"recover", runRecover},
}

func runPhase(p plan) (figures, error) {
	for _, f := range phases {
		if f.name == p.Phase {
			return f.run(p)
		}
	}
	return nil, fmt.Errorf("no phase %q", p.Phase)
}

// runBulk loads all entries in large batches.
func runBulk(p plan) (out figures, err error) {
	const loaders = 4
	memory := watchMemory()
	cost, err := p.write(func(s store) error {
		return phase.Together(loaders, (p.Entries+p.Batch-1)/p.Batch, func(i int) error {
			first := i * p.Batch
			return s.Load(first, min(p.Batch, p.Entries-first))
		})
	}, func(s store) error { return errors.Join(s.Sync(), s.Settle()) })
	if err != nil {
		return nil, err
	}
	out.rate("bulk load, entries/s", p.Entries, cost.began, cost.accepted)
	out.rate("bulk load until settled, entries/s", p.Entries, cost.began, cost.settled)
	stored := float64(p.Entries) * dataset.EntryBytes
	out.add("written per byte stored, bulk load", float64(cost.settled.written-cost.began.written)/stored)
	tables, logs, err := diskBytes(p.Dir)
	out.add("on disk without log files, bytes/entry", float64(tables)/float64(p.Entries))
	out.add("log files and spares, MiB", float64(logs)/(1<<20))
	out.add("peak memory of the load, MiB", float64(cost.settled.peakResident)/(1<<20))
	out.add("peak memory of the load without mapped files, MiB", float64(memory())/(1<<20))
	return out, err
}

// runDurable has many writers write one entry at a time.
func runDurable(p plan) (out figures, err error) {
	var samples *timings
	var done atomic.Int64
	cost, err := p.write(func(s store) error {
		samples = newTimings()
		defer samples.end()
		total, until := p.Durable, time.Time{}
		if p.Soak > 0 {
			total, until = 1<<62, time.Now().Add(p.Soak)
		}
		err := phase.Together(p.Writers, total, func(i int) error {
			kv := dataset.AppendValue(dataset.AppendKey(make([]byte, 0, dataset.EntryBytes), uint64(i)), uint64(i))
			at := time.Now()
			if p.Soak > 0 && at.After(until) {
				return errEnough
			}
			err := s.Write(kv[:dataset.KeyBytes], kv[dataset.KeyBytes:])
			samples.add(time.Since(at))
			done.Add(1)
			return err
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	}, store.Settle)
	if err != nil {
		return nil, err
	}
	n := int(done.Load())
	if n == 0 {
		return nil, errors.New("nothing was written")
	}
	out.rate(fmt.Sprintf("durable writes, %d writers, entries/s", p.Writers), n, cost.began, cost.accepted)
	samples.report(&out)
	out.add("written per byte stored, durable writes", float64(cost.settled.written-cost.began.written)/(float64(n)*dataset.EntryBytes))
	out.add("peak memory of durable writes, MiB", float64(cost.settled.peakResident)/(1<<20))
	return out, os.RemoveAll(p.Dir)
}

// costs are what had been used before the first write, once the last was accepted, and once nothing was left to do.
type costs struct{ began, accepted, settled usage }

// write opens a store, has it written to and settled, and closes it.
func (p plan) write(accept, settle func(store) error) (costs, error) {
	s, err := open(p.Side, p.settings(64<<20))
	if err != nil {
		return costs{}, err
	}
	began, err := used()
	if err != nil {
		return costs{}, errors.Join(err, s.Close())
	}
	err = accept(s)
	accepted, uerr := used()
	err = errors.Join(err, uerr, settle(s))
	settled, uerr := used()
	return costs{began, accepted, settled}, errors.Join(err, uerr, s.Close())
}

var errEnough = errors.New("time is up")

// openCold opens what another phase has left, with nothing of it in the page cache.
func openCold(p plan, o settings) (s store, began, opened usage, err error) {
	if err = dropCached(p.Dir); err != nil {
		return nil, began, opened, err
	}
	if began, err = used(); err != nil {
		return nil, began, opened, err
	}
	if s, err = open(p.Side, o); err != nil {
		return nil, began, opened, err
	}
	if opened, err = used(); err != nil {
		return nil, began, opened, errors.Join(err, s.Close())
	}
	return s, began, opened, nil
}

// runOpen opens what bulk has left.
func runOpen(p plan) (out figures, err error) {
	s, began, opened, err := openCold(p, p.settings(64<<20))
	if err != nil {
		return nil, err
	}
	out = append(out, figure{"open, ms", opened.at.Sub(began.at).Seconds() * 1e3, (opened.cpu - began.cpu).Seconds() * 1e3})
	out.add("read at open, MiB", float64(opened.fromDevice-began.fromDevice)/(1<<20))
	return out, s.Close()
}

// unflushed are settings with which the log that is recovered stays out of tables.
func (p plan) unflushed() settings {
	o := p.settings(64 << 20)
	o.MemtableBytes = min(8*p.LogBytes, 4<<30-1) // Pebble takes no more
	return o
}

// runCrash leaves a log of which nothing is in tables.
func runCrash(p plan) (figures, error) {
	s, err := open(p.Side, p.unflushed())
	if err != nil {
		return nil, err
	}
	const batch = 100
	err = phase.Together(4, int(p.LogBytes/dataset.EntryBytes/batch), func(i int) error { return s.Load(i*batch, batch) })
	return nil, errors.Join(err, s.Sync()) // and the process ends without closing it
}

// runRecover opens what crash has left.
func runRecover(p plan) (out figures, err error) {
	s, began, ended, err := openCold(p, p.unflushed())
	if err != nil {
		return nil, err
	}
	const batch = 100
	last := uint64(p.LogBytes/dataset.EntryBytes/batch*batch - 1)
	if ok, err := s.Get(dataset.AppendKey(nil, last), dataset.AppendValue(nil, last)); err != nil || !ok {
		return nil, fmt.Errorf("entry %d is not recovered: %w", last, err)
	}
	mib := int(p.LogBytes / 1e6)
	out.rate("recovery of an unflushed log, MB/s", mib, began, ended)
	return out, errors.Join(s.Close(), os.RemoveAll(p.Dir))
}
