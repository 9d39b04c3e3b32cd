package cold

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/bench/dataset"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/s3store"
	"github.com/scribe-ledger/scribe/vfs"
)

// bucket says where the store is.
type bucket struct {
	Endpoint, Region, Name, AccessKey, SecretKey string

	PartBytes int64 // of our uploads, and how many of them are under way; 0 is the default
	Parallel  int

	// How far away the store is.
	Delay time.Duration // before an answer
	Rate  float64       // bytes per second of all answers; 0: as fast as they come
}

// dataPrefix is where the ledger that is measured has its archive.
const dataPrefix = "data"

// open returns a store over the bucket. A nil transport is the store's own.
func (b bucket) open(prefix string, transport http.RoundTripper) (*s3store.Store, error) {
	if far := (&far{next: newTraffic().next, delay: b.Delay, rate: b.Rate}); transport == nil && (far.delay > 0 || far.rate > 0) {
		transport = far
	}
	return s3store.New(s3store.Options{PartBytes: b.PartBytes, Parallel: b.Parallel, Bucket: b.Name, Prefix: prefix, Region: b.Region, Endpoint: b.Endpoint, PathStyle: true,
		AccessKeyID: b.AccessKey, SecretAccessKey: b.SecretKey, Transport: transport})
}

// member is a node with a sole voter over a store.
type member struct {
	*node.Node
	store  *s3store.Store
	ranges *tier.Ranges
}

// collect sets the collector as scribe-node does for these sizes.
func collect(sealBytes, cacheBytes int64) {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(5*sealBytes + max(cacheBytes, 0) + tier.ReadAheadBytes + 64<<20)
}

// openMember opens a node in dir. With restore set it begins with what is published.
func (p plan) openMember(dir, prefix string, transport http.RoundTripper, restore bool, tune func(*node.Options)) (*member, error) {
	store, err := p.Bucket.open(prefix, transport)
	if err != nil {
		return nil, err
	}
	m := &member{store: store, ranges: tier.NewRanges(store, tier.RangesOptions{HedgeShare: -1})}
	o := node.Options{FS: vfs.NewOS(), Dir: dir, NodeID: 1, RaftAddr: "localhost:1", HTTPAddr: "localhost:2",
		ScrubBytesPerSecond: -1,
		Tier:                &node.TierOptions{Store: store, Ranges: m.ranges, FetchReads: -1}}
	o.Ledger.SealBytes, o.Ledger.BlockCacheBytes, o.Ledger.SealAge = 64<<20, 64<<20, -1
	if p.Zstd {
		o.Ledger.Compression = segfile.Zstd
	}
	if restore {
		if o.Restore, err = archive.Read(context.Background(), store); err != nil {
			return nil, errors.Join(err, m.ranges.Close())
		}
	}
	if tune != nil {
		tune(&o)
	}
	collect(o.Ledger.SealBytes, o.Ledger.BlockCacheBytes)
	if m.Node, err = node.Open(o); err != nil {
		return nil, errors.Join(err, m.ranges.Close())
	}
	return m, m.wait()
}

// wait returns once the node serves reads.
func (m *member) wait() error {
	select {
	case <-m.Ready():
	case <-m.Failed():
		return errors.Join(m.Err(), m.end())
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		err := m.Barrier(context.Background())
		if err == nil || time.Since(begin) > time.Minute {
			return err
		}
	}
}

// calm returns once the daemon has found the store usable, and leaves it alone.
func (m *member) calm() error {
	for begin := time.Now(); !m.TierStatus().Usable; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			return fmt.Errorf("the store is not used: %s", m.TierStatus().Problem)
		}
	}
	time.Sleep(200 * time.Millisecond) // its first round, which finds nothing to do
	return nil
}

func (m *member) end() error { return errors.Join(m.Close(), m.ranges.Close(), m.store.Close()) }

// get reads key i and holds its value against what was written.
func (m *member) get(i uint64) error {
	e, err := m.Ledger().Get(dataset.AppendKey(nil, i), ledger.Selector{})
	if err != nil {
		return fmt.Errorf("key %d: %w", i, err)
	}
	return checkValue(i, e.Value)
}

// allCold fails unless every segment is in the store only.
func (m *member) allCold() error {
	for _, g := range m.Ledger().Placed() {
		if !g.Cold {
			return fmt.Errorf("the segment of seqs %d to %d is here", g.FirstSeq, g.LastSeq)
		}
	}
	return nil
}
