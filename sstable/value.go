package sstable

import (
	"crypto/sha256"
	"io"
	"sync"

	"github.com/scribe-ledger/scribe/merkle"
)

// Value is a handle on one value, read by range. It reads from the table's source: the table must stay open while a
// call is under way. It is safe for concurrent use.
type Value struct {
	t     *Table
	size  uint64
	hash  merkle.Hash
	b     *dataBlock
	i     int
	mu    sync.Mutex
	whole []byte // guarded by mu
}

// OpenValue returns a handle on the value of the entry with this seq, which must be the segment's.
func (t *Table) OpenValue(seq uint64) (*Value, error) {
	b, i, err := t.locate(seq, true)
	if err != nil {
		return nil, err
	}
	return &Value{t: t, b: b, i: i, size: uint64(b.entries[i].valueSize), hash: b.valueHash(i)}, nil
}

// Size is the value's length in bytes.
func (v *Value) Size() uint64 { return v.size }

// Hash is the value's SHA-256. For a small value it is computed.
func (v *Value) Hash() merkle.Hash {
	if v.hash == (merkle.Hash{}) {
		v.hash = sha256.Sum256(v.whole)
	}
	return v.hash
}

// ReadAt follows io.ReaderAt. What it returns was verified against its checksums; damage is a *vfs.CorruptError.
func (v *Value) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || uint64(off) >= v.size {
		return 0, io.EOF
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.whole == nil {
		var err error
		if v.whole, err = v.t.value(v.b, v.i); err != nil {
			return 0, err
		}
	}
	n := copy(p, v.whole[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
