package cold

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tier"
)

// asked is the one request that a read makes.
type asked struct {
	key    uint64
	object string
	off, n int64
}

// runPoint reads keys of cold segments one after the other, and the ranges that this asks for by themselves. Both in turns, so
// that a change of the machine's speed meets both.
func runPoint(p plan) (out figures, err error) {
	way := newTraffic()
	m, err := p.openMember(p.Dir, dataPrefix, way, true, coldOnly)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.end()) }()
	if err := errors.Join(m.allCold(), m.calm()); err != nil {
		return nil, err
	}
	reads, err := p.findRanges(m, way, &out)
	if err != nil {
		return nil, err
	}
	var ours, plain []time.Duration
	buf := make([]byte, 1<<20)
	for i, a := range reads {
		read := func() error {
			at := time.Now()
			err := m.get(a.key)
			ours = append(ours, time.Since(at))
			return err
		}
		get := func() error {
			at := time.Now()
			err := tier.ReadAt(context.Background(), m.store, a.object, buf[:a.n], a.off)
			plain = append(plain, time.Since(at))
			return err
		}
		first, second := read, get
		if i%2 == 1 {
			first, second = get, read
		}
		if err := errors.Join(first(), second()); err != nil {
			return nil, err
		}
	}
	store, own := quantile(plain, 0.5), quantile(ours, 0.5)
	out.add("point read: the store's own GET, median, ms", ms(store))
	out.add("point read, median, ms", ms(own))
	out.add("point read: difference of medians, ms", ms(own-store))
	out.add("point read: the store's own GET, p99, ms", ms(quantile(plain, 0.99)))
	out.add("point read, p99, ms", ms(quantile(ours, 0.99)))
	return out, nil
}

// coldOnly keeps no block in memory, and the daemon from working meanwhile.
func coldOnly(o *node.Options) { o.Ledger.BlockCacheBytes, o.Tier.Interval = -1, time.Hour }

// findRanges reads each key once, which also brings what the store needs for it into the page cache, and says what it cost.
func (p plan) findRanges(m *member, way *traffic, out *figures) ([]asked, error) {
	way.reset()
	prefix := "/" + p.Bucket.Name + "/" + dataPrefix + "/"
	var list []asked
	var sum, most taken
	for i := range p.Reads {
		key := drawn(i, p.Entries)
		if err := m.get(key); err != nil {
			return nil, err
		}
		got, err := way.take()
		if err == nil && got.requests == 0 {
			err = errors.New("it made no request")
		}
		if err != nil {
			return nil, fmt.Errorf("reading key %d: %w", key, err)
		}
		most.requests, most.bytes = max(most.requests, got.requests), max(most.bytes, got.bytes)
		sum.requests, sum.bytes = sum.requests+got.requests, sum.bytes+got.bytes
		if got.requests == 1 { // no single GET is like the others, which the figures for requests tell of
			list = append(list, asked{key, strings.TrimPrefix(got.path, prefix), got.off, got.n})
		}
	}
	out.add("point read: requests, mean", float64(sum.requests)/float64(p.Reads))
	out.add("point read: requests, most", float64(most.requests))
	out.add("point read: bytes, mean", float64(sum.bytes)/float64(p.Reads))
	out.add("point read: bytes, most", float64(most.bytes))
	return list, nil
}
