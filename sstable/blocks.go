package sstable

import (
	"bytes"
	"errors"

	"github.com/scribe-ledger/scribe/vfs"
)

// BlockInfo describes a data block, for people and tools.
type BlockInfo struct {
	Offset       uint64
	StoredBytes  uint64 // with its header
	RawBytes     uint64 // decoded; 0 when it cannot be read
	FirstOrdinal uint64
	Entries      uint64
	FirstKey     []byte // nil when it cannot be read
	Damage       *vfs.CorruptError
}

// Blocks reads the data blocks in order and gives each to visit, damaged ones too. The index says where they are: damage
// to it is returned, as are errors of visit and of the source.
func (t *Table) Blocks(visit func(*BlockInfo) error) error {
	for n := range t.top.parts {
		p, err := t.partition(n, false)
		if err != nil {
			return err
		}
		for i := range p.count {
			info, err := t.describe(blockAt{p, i})
			if err == nil {
				err = visit(info)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Table) describe(at blockAt) (*BlockInfo, error) {
	h := at.handle()
	first, end := at.p.ordinals(at.i)
	info := &BlockInfo{Offset: h.Offset, StoredBytes: h.Length, FirstOrdinal: first, Entries: end - first}
	b, err := t.block(at, false)
	if errors.As(err, &info.Damage) {
		return info, nil
	}
	if err != nil {
		return nil, err
	}
	var e Entry
	var keys keyArena
	if err := t.entry(&e, b, 0, true, &keys); err != nil {
		return nil, err
	}
	info.RawBytes, info.FirstKey = uint64(len(b.data)), bytes.Clone(e.Key)
	return info, nil
}
