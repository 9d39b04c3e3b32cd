package engine

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/scribe-ledger/scribe/bench/dataset"
)

type pebbleStore struct{ db *pebble.DB }

// quiet drops what Pebble tells, but for what ends it.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func openPebble(s settings) (store, error) {
	cache := pebble.NewCache(s.CacheBytes)
	defer cache.Unref() // the store holds it
	o := &pebble.Options{Cache: cache, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest,
		MemTableSize: uint64(s.MemtableBytes), MemTableStopWritesThreshold: 4}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		if s.Zstd {
			o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.ZstdCompression }
		}
	}
	db, err := pebble.Open(s.Dir, o)
	return &pebbleStore{db}, err
}

func (p *pebbleStore) Write(key, value []byte) error { return p.db.Set(key, value, pebble.Sync) }

func (p *pebbleStore) Load(first, n int) error {
	b := p.db.NewBatchWithSize(n * (dataset.EntryBytes + 8))
	var kv []byte
	for i := range n {
		kv = dataset.AppendValue(dataset.AppendKey(kv[:0], uint64(first+i)), uint64(first+i))
		if err := b.Set(kv[:dataset.KeyBytes], kv[dataset.KeyBytes:], nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.NoSync)
}

func (p *pebbleStore) Sync() error { return p.db.LogData(nil, pebble.Sync) }

func (p *pebbleStore) Settle() error {
	if err := p.db.Flush(); err != nil {
		return err
	}
	for idle := 0; idle < 5; {
		if m := p.db.Metrics(); m.Compact.NumInProgress == 0 && m.Flush.NumInProgress == 0 {
			idle++
		} else {
			idle = 0
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

func (p *pebbleStore) Get(key, value []byte) (bool, error) {
	v, closer, err := p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	same := bytes.Equal(v, value)
	return same, closer.Close()
}

func (p *pebbleStore) Scan(start []byte, reverse bool, limit int) (n int, err error) {
	it, err := p.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	step, ok := it.Next, false
	switch {
	case reverse && len(start) == 0:
		step, ok = it.Prev, it.Last()
	case reverse:
		step, ok = it.Prev, it.SeekLT(start)
	case len(start) == 0:
		ok = it.First()
	default:
		ok = it.SeekGE(start)
	}
	for ; ok && n < limit; ok = step() {
		if v := it.Value(); len(it.Key()) != dataset.KeyBytes || len(v) != dataset.ValueBytes {
			return n, fmt.Errorf("a key of %d and a value of %d bytes", len(it.Key()), len(v))
		}
		n++
	}
	return n, it.Error()
}

func (p *pebbleStore) Count() int { return -1 }

func (p *pebbleStore) Close() error { return p.db.Close() }
