package cold

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/bench/dataset"
	"github.com/scribe-ledger/scribe/bench/phase"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tlog"
)

const (
	writesPrefix = "writes"
	// Small segments, so that some are sealed, uploaded and evicted in every turn.
	writesSealBytes = 2 << 20
	// Other machines on the same host take the processors for seconds or minutes at a time. Windows that are not calm for
	// that are left out.
	writesWindow = 5 * time.Second
)

var conditionNames = [...]string{working: "the store works", refusing: "it answers 503", silent: "it answers nothing",
	again: "it works again"}

// runWrites writes at an even rate through turns of the store's conditions. A write's time runs from when it was due, so one that
// holds up others is counted with all that it holds up.
func runWrites(p plan) (out figures, err error) {
	way := newTraffic()
	m, err := p.openMember(p.Dir, writesPrefix, way, false, func(o *node.Options) {
		o.Ledger.SealBytes = writesSealBytes
		o.Tier.MaxLocalBytes = 4 * writesSealBytes
		o.Tier.Interval = 200 * time.Millisecond
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		way.condition.Store(working)
		err = errors.Join(err, m.end())
	}()
	var took [len(conditionNames)][]time.Duration
	var number atomic.Int64
	windows, robbed := 0, 0
	turn := func(condition int32, record bool) error {
		way.condition.Store(condition)
		long := p.Turn
		if condition == working || condition == again {
			long = p.Calm
		}
		for left := long; left > 0; left -= writesWindow {
			window, before := min(writesWindow, left), phase.Stolen()
			times, err := m.writeFor(p, window, &number)
			if err != nil {
				return err
			}
			switch {
			case !record:
				continue
			case !phase.Calm(phase.Stolen()-before, window):
				robbed++
			default:
				took[condition] = append(took[condition], times...)
			}
			windows++
		}
		return nil
	}
	err = turn(working, false) // until the log's files are there
	for range p.Rounds {
		for _, c := range []int32{working, refusing, again, working, silent, again} {
			err = errors.Join(err, turn(c, true))
		}
	}
	if err != nil {
		return nil, err
	}
	for c, name := range conditionNames {
		if len(took[c]) == 0 {
			return nil, errors.New("other machines had the processors all the time that " + name)
		}
	}
	out.add("writes: windows", float64(windows))
	out.add("writes: windows left out", float64(robbed))
	before := quantile(took[working], 0.99)
	for c, name := range conditionNames {
		out.add("writes, "+name+": p50, ms", ms(quantile(took[c], 0.5)))
		out.add("writes, "+name+": p99, ms", ms(quantile(took[c], 0.99)))
		if int32(c) != working {
			out.add("writes, "+name+": p99 to that before", quantile(took[c], 0.99).Seconds()/before.Seconds())
		}
	}
	way.condition.Store(working)
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		r, err := m.Tier(ctx, false)
		if err == nil && r.Waiting == 0 {
			break
		}
		if ctx.Err() != nil {
			return nil, errors.Join(err, errors.New("not all was uploaded once the store was back"))
		}
		time.Sleep(100 * time.Millisecond)
	}
	out.add("writes: until all is uploaded once the store is back, s", time.Since(began).Seconds())
	return out, nil
}

// writeFor writes for that long, at an even rate, and says how long each write took.
func (m *member) writeFor(p plan, d time.Duration, number *atomic.Int64) ([]time.Duration, error) {
	began, every := time.Now(), time.Second/time.Duration(p.WriteRate)
	n := int64(d / every)
	times := make([]time.Duration, n)
	errs := make([]error, p.Writers)
	first := number.Add(n) - n
	var next atomic.Int64
	var group sync.WaitGroup
	for w := range p.Writers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < n && errs[w] == nil; i = next.Add(1) - 1 {
				due := began.Add(time.Duration(i) * every)
				time.Sleep(time.Until(due))
				kv := dataset.AppendValue(dataset.AppendKey(make([]byte, 0, dataset.EntryBytes), uint64(first+i)), uint64(first+i))
				_, errs[w] = m.Write(context.Background(),
					&ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: kv[:dataset.KeyBytes], Value: kv[dataset.KeyBytes:]}}})
				times[i] = time.Since(due)
			}
		})
	}
	group.Wait()
	return times, errors.Join(errs...)
}
