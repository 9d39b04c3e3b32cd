package ledger

import (
	"crypto/sha256"
	"io"
	"sync/atomic"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
)

// Value reads one value by range, without ever holding all of a large one. It is safe for concurrent use; Close ends it,
// once no read is under way.
type Value interface {
	// ReaderAt reads what was verified against its checksums. Damage is a *vfs.CorruptError.
	io.ReaderAt
	io.Closer
	Size() uint64
	Hash() merkle.Hash // SHA-256 of the whole value
}

// OpenValue opens the value of the put with this seq, as Peek found it. It keeps the segment from going until Close, and
// nothing else: not the view, nor the memtables in it. ErrVersionNotFound when seq is none of a put, *vfs.CorruptError.
func (l *Ledger) OpenValue(seq uint64) (Value, error) {
	v, err := l.acquire()
	if err != nil {
		return nil, err
	}
	defer v.release()
	if t := v.tableOf(seq); t != nil {
		value, err := t.OpenValue(seq)
		if err != nil {
			l.noteDamage(err)
			return nil, err
		}
		t.refs.Add(1) // the view has one, so it is not gone yet
		return &storedValue{Value: value, l: l, t: t}, nil
	}
	e, err := v.at(seq, false)
	if err != nil {
		return nil, err
	}
	if e == nil || e.Op != tlog.OpPut {
		return nil, ErrVersionNotFound
	}
	return heldValue{e.Value}, nil
}

// storedValue is a value in a segment.
type storedValue struct {
	*sstable.Value
	l      *Ledger
	t      *table
	closed atomic.Bool
}

func (s *storedValue) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.Value.ReadAt(p, off)
	if err != nil && err != io.EOF {
		s.l.noteDamage(err)
	}
	return n, err
}

// Close lets the segment go.
func (s *storedValue) Close() error {
	if !s.closed.Swap(true) {
		s.t.release()
	}
	return nil
}

// heldValue is a value in memory.
type heldValue struct{ b []byte }

func (h heldValue) Size() uint64      { return uint64(len(h.b)) }
func (h heldValue) Hash() merkle.Hash { return sha256.Sum256(h.b) }
func (h heldValue) Close() error      { return nil }

func (h heldValue) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(h.b)) {
		return 0, io.EOF
	}
	n := copy(p, h.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
