package sstable

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
)

// separator is a point in the order by key ascending and seq descending.
type separator struct {
	key []byte
	seq uint64 // math.MaxUint64: before all versions of key
}

// separate returns the separator between a block's last entry and the next block's first.
func separate(lastKey []byte, lastSeq uint64, firstKey []byte) separator {
	n := commonPrefix(lastKey, firstKey)
	if n == len(firstKey) { // the keys are equal, as lastKey is not after firstKey; so lastSeq is not 0
		return separator{firstKey, lastSeq - 1}
	}
	return separator{firstKey[:n+1], math.MaxUint64}
}

// after reports whether the point stands after (key, seq).
func (s separator) after(key []byte, seq uint64) bool { return compare(s.key, s.seq, key, seq) > 0 }

// append appends the separator to dst, and says whether it has a seq.
func (s separator) append(dst []byte) (_ []byte, hasSeq bool) {
	dst = append(dst, s.key...)
	if len(s.key) > 0 && s.seq != math.MaxUint64 {
		return binary.LittleEndian.AppendUint64(dst, s.seq), true
	}
	return dst, false
}

// clone returns a copy that shares nothing.
func (s separator) clone() separator { return separator{bytes.Clone(s.key), s.seq} }

// compare orders two points by key ascending and seq descending.
func compare(aKey []byte, aSeq uint64, bKey []byte, bSeq uint64) int {
	if c := bytes.Compare(aKey, bKey); c != 0 {
		return c
	}
	return cmp.Compare(bSeq, aSeq)
}
