package sstable

import (
	"encoding/binary"
	"fmt"

	"github.com/FastFilter/xorfilter"
	"github.com/cespare/xxhash/v2"
)

// A partition's filter is a binary fuse filter with 8-bit fingerprints over the xxhash64 of every key of its entries:
// about 9.5 bits a key, one false answer in 256. A partition without one may hold every key.
//
//	seed u64 · segment length u32 · segment count u32 · fingerprints
type keyFilter struct {
	fuse *xorfilter.BinaryFuse[uint8] // nil: no filter
}

const filterHeaderLen = 16

// HashKey is what filters are asked with. Whoever looks for a key in many tables computes it once (Table.PeekHashed).
func HashKey(key []byte) uint64 { return xxhash.Sum64(key) }

// filterBuilder builds one filter after the other in the same memory.
type filterBuilder struct {
	hashes []uint64
	fuse   xorfilter.BinaryFuseBuilder
}

func (b *filterBuilder) add(key []byte) { b.hashes = append(b.hashes, HashKey(key)) }

func (b *filterBuilder) count() int { return len(b.hashes) }

// finish returns the filter over the keys added, nil for none, and makes the builder empty.
func (b *filterBuilder) finish() []byte {
	defer func() { b.hashes = b.hashes[:0] }()
	if len(b.hashes) == 0 {
		return nil
	}
	// Distinct keys may share a hash; the builder copes. The filter depends on the keys alone: its seeds are fixed.
	fuse, err := xorfilter.BuildBinaryFuse[uint8](&b.fuse, b.hashes)
	if err != nil {
		return nil // after 100 seeds in vain: not in this universe's lifetime, and no filter is a right answer too
	}
	for _, h := range b.hashes {
		if !fuse.Contains(h) {
			return nil
		}
	}
	dst := binary.LittleEndian.AppendUint64(nil, fuse.Seed)
	dst = binary.LittleEndian.AppendUint32(dst, fuse.SegmentLength)
	dst = binary.LittleEndian.AppendUint32(dst, fuse.SegmentCount)
	return append(dst, fuse.Fingerprints...)
}

// parseFilter reads a filter and checks that no lookup can leave its fingerprints. It keeps b. Its errors are reasons
// for a *vfs.CorruptError.
func parseFilter(b []byte) (keyFilter, error) {
	if len(b) == 0 {
		return keyFilter{}, nil
	}
	if len(b) < filterHeaderLen {
		return keyFilter{}, fmt.Errorf("filter of %d bytes", len(b))
	}
	f := &xorfilter.BinaryFuse[uint8]{
		Seed:          binary.LittleEndian.Uint64(b),
		SegmentLength: binary.LittleEndian.Uint32(b[8:]),
		SegmentCount:  binary.LittleEndian.Uint32(b[12:]),
		Fingerprints:  b[filterHeaderLen:],
	}
	f.SegmentLengthMask = f.SegmentLength - 1
	f.SegmentCountLength = f.SegmentCount * f.SegmentLength
	// A key's three places are in three segments that follow each other, the first one of SegmentCount.
	if l, n := uint64(f.SegmentLength), uint64(f.SegmentCount); l == 0 || l&(l-1) != 0 || n == 0 ||
		(n+2)*l != uint64(len(f.Fingerprints)) {
		return keyFilter{}, fmt.Errorf("filter of %d segments of %d in %d bytes", n, l, len(b))
	}
	return keyFilter{f}, nil
}

// mayContain is false only for a hash that is not in the set.
func (f keyFilter) mayContain(hash uint64) bool { return f.fuse == nil || f.fuse.Contains(hash) }
