package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/scribe-ledger/scribe/bench/dataset"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

type scribeStore struct {
	node   *node.Node
	ledger *ledger.Ledger
}

func openScribe(s settings) (store, error) {
	o := node.Options{FS: vfs.NewOS(), Dir: s.Dir, NodeID: 1, RaftAddr: "localhost:1", HTTPAddr: "localhost:2"}
	o.Ledger.BlockCacheBytes, o.Ledger.SealBytes, o.Ledger.SealAge = s.CacheBytes, s.MemtableBytes, -1
	if s.Zstd {
		o.Ledger.Compression = segfile.Zstd
	}
	// As scribe-node sets the collector for its sizes. Pebble's memtables and cache are none of the collector's business.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(5*s.MemtableBytes + s.CacheBytes + 64<<20)
	n, err := node.Open(o)
	if err != nil {
		return nil, err
	}
	select {
	case <-n.Ready():
	case <-n.Failed():
		return nil, n.Err()
	}
	return &scribeStore{n, n.Ledger()}, nil
}

func (s *scribeStore) Write(key, value []byte) error {
	_, err := s.node.Write(context.Background(),
		&ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: key, Value: value}}})
	return err
}

func (s *scribeStore) Load(first, n int) error {
	ops := make([]ledger.WriteOp, n)
	kv := make([]byte, 0, n*dataset.EntryBytes)
	for i := range n {
		at := len(kv)
		kv = dataset.AppendValue(dataset.AppendKey(kv, uint64(first+i)), uint64(first+i))
		ops[i] = ledger.WriteOp{Op: tlog.OpPut, Key: kv[at : at+dataset.KeyBytes], Value: kv[at+dataset.KeyBytes:]}
	}
	_, err := s.node.Write(context.Background(), &ledger.Command{Ops: ops})
	return err
}

func (s *scribeStore) Sync() error { return nil } // what was acknowledged is durable

func (s *scribeStore) Settle() error {
	if _, err := s.node.Seal(context.Background()); err != nil {
		return err
	}
	for idle := 0; idle < 5; time.Sleep(100 * time.Millisecond) {
		if err := s.ledger.CompactError(); err != nil {
			return err
		}
		// Those among them that wait for writes to slow down are due too.
		if idle++; !s.ledger.MergesDone() || len(s.ledger.MergesLeft(false)) > 0 {
			idle = 0
		}
	}
	return nil
}

func (s *scribeStore) Get(key, value []byte) (bool, error) {
	e, err := s.ledger.Get(key, ledger.Selector{})
	if missing := (*ledger.NotFoundError)(nil); errors.As(err, &missing) {
		return false, nil
	}
	return err == nil && bytes.Equal(e.Value, value), err
}

func (s *scribeStore) Scan(start []byte, reverse bool, limit int) (n int, err error) {
	o := ledger.ScanOptions{Reverse: reverse, AsOf: s.ledger.NextSeq() - 1}
	if o.Start = start; reverse {
		o.Start, o.End = nil, start
	}
	it, err := s.ledger.Scan(o)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	for n < limit && it.Next() {
		if e := it.Entry(); len(e.Key) != dataset.KeyBytes || len(e.Value) != dataset.ValueBytes {
			return n, fmt.Errorf("a key of %d and a value of %d bytes", len(e.Key), len(e.Value))
		}
		n++
	}
	return n, it.Err()
}

// Count leaves out the ledger's own entries of segments only when there are none yet.
func (s *scribeStore) Count() int {
	for begin := time.Now(); time.Since(begin) < time.Second; time.Sleep(time.Millisecond) {
		if err := s.node.Barrier(context.Background()); err == nil {
			break
		}
	}
	return int(s.ledger.NextSeq())
}

func (s *scribeStore) Close() error { return s.node.Close() }
