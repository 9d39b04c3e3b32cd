package sstable

import (
	"io"
	"sync"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
)

// Value is a handle on one value, read by range. It reads from the table's source: the table must stay open while a
// call is under way. It is safe for concurrent use.
//
// It holds one piece of a large value (segfile.PieceBytes), and passes the block cache by.
type Value struct {
	size  uint64
	hash  merkle.Hash
	small []byte       // of a small value
	run   *segfile.Run // of a large one

	mu    sync.Mutex
	piece []byte // the one read last. Guarded by mu.
	at    int    // which one. Guarded by mu.
}

// OpenValue returns a handle on the value of the entry with this seq, which must be the segment's. It reads the entry's
// block and where the value lies, not the value.
func (t *Table) OpenValue(seq uint64) (*Value, error) {
	b, i, err := t.locate(seq, true)
	if err != nil {
		return nil, err
	}
	return t.openValue(b, i)
}

func (t *Table) openValue(b *dataBlock, i int) (*Value, error) {
	v := &Value{size: b.valueSize(i), hash: b.valueHash(i)}
	if !b.isLarge(i) {
		v.small = b.stored(i)
		return v, nil
	}
	large := b.large(i)
	var err error
	v.run, err = t.file.OpenRun(large.at, large.size)
	return v, err
}

// Size is the value's length in bytes.
func (v *Value) Size() uint64 { return v.size }

// Hash is the value's SHA-256.
func (v *Value) Hash() merkle.Hash { return v.hash }

// ReadAt follows io.ReaderAt. It reads the pieces that p touches; what it returns was verified against their checksums.
// Damage is a *vfs.CorruptError.
func (v *Value) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || uint64(off) >= v.size {
		return 0, io.EOF
	}
	if v.run == nil {
		n := copy(p, v.small[off:])
		return n, eofAt(n, len(p))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for n < len(p) && uint64(off)+uint64(n) < v.size {
		at := uint64(off) + uint64(n)
		if i := int(at / segfile.PieceBytes); v.piece == nil || i != v.at {
			piece, err := v.run.Piece(i, v.piece[:0])
			if err != nil {
				v.piece = nil
				return n, err
			}
			v.piece, v.at = piece, i
		}
		n += copy(p[n:], v.piece[at%segfile.PieceBytes:])
	}
	return n, eofAt(n, len(p))
}

func eofAt(n, want int) error {
	if n < want {
		return io.EOF
	}
	return nil
}
