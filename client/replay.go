package client

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// Replay is what came of recomputing a ledger.
type Replay struct {
	Size uint64 // entries read
	Root merkle.Hash
}

// ReplayRoot reads the ledger's first size entries, all of it when size is 0, hashes every value, record and leaf
// itself, and gives the root of the tree over them. Compare it with a checkpoint of that size. progress, when not nil,
// is called after every entry.
//
// An entry whose own leaf_hash is not that of its record is a *ProofError; the server then shows an entry that it has
// not committed to.
func (c *Client) ReplayRoot(ctx context.Context, size uint64, progress func(*Entry)) (Replay, error) {
	var tree tlog.Frontier
	for e, err := range c.Entries(ctx, EntriesOptions{Limit: size}) {
		if err != nil {
			return Replay{}, err
		}
		leaf, err := e.leaf()
		if err != nil {
			return Replay{}, refuse(fmt.Sprintf("entry %d", e.Seq), "%w", err)
		}
		tree.Append(leaf)
		if progress != nil {
			progress(e)
		}
	}
	if size != 0 && tree.Size() != size {
		return Replay{}, refuse("ledger", "it has %d entries, not %d", tree.Size(), size)
	}
	return Replay{Size: tree.Size(), Root: tree.Root()}, nil
}

// leaf recomputes an entry's leaf hash from the value up.
func (e *Entry) leaf() (merkle.Hash, error) {
	if uint64(len(e.Value)) != e.Size {
		return merkle.Hash{}, fmt.Errorf("there are %d of %d bytes of value", len(e.Value), e.Size)
	}
	r := tlog.Record{Seq: e.Seq, Time: e.Time.UnixMicro(), Key: []byte(e.Key), ContentType: e.ContentType,
		Principal: e.Principal, ValueSize: e.Size, ValueHash: sha256.Sum256(e.Value)}
	switch e.Op {
	case OpPut:
		r.Op = tlog.OpPut
	case OpDelete:
		r.Op = tlog.OpDelete
	case OpSegment:
		r.Op = tlog.OpSegment
	}
	record, err := tlog.AppendRecord(nil, &r)
	if err != nil {
		return merkle.Hash{}, err
	}
	leaf := merkle.LeafHash(record)
	if leaf != e.LeafHash {
		return merkle.Hash{}, fmt.Errorf("its record's leaf is %s, the server says %s", leaf, e.LeafHash)
	}
	return leaf, nil
}
