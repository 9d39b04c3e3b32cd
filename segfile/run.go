package segfile

import (
	"encoding/binary"
	"slices"
)

// A run is data of any length in pieces of PieceBytes, each a block, the last one shorter; then, when there is more
// than one, their directory, a block of method 0:
//
//	per piece: length in the file u32, header included
//
// So a range of the data is read by reading the directory and the pieces it touches.

// PieceBytes is how much of a run's data a block holds.
const PieceBytes = 64 << 10

// MaxRunBytes bounds a run's data: its directory is one block.
const MaxRunBytes = MaxBlockBytes / 4 * PieceBytes

func pieces(size uint64) uint64 { return max(1, (size+PieceBytes-1)/PieceBytes) }

// directoryLen is what the directory takes in the file.
func directoryLen(size uint64) uint64 {
	if n := pieces(size); n > 1 {
		return blockHeaderLen + 4*n
	}
	return 0
}

// AppendRun adds data of at most MaxRunBytes under one handle, for Reader.OpenRun.
func (w *Writer) AppendRun(data []byte) (Handle, error) {
	h, directory := Handle{Offset: w.offset}, []byte(nil)
	for {
		n := min(len(data), PieceBytes)
		b, err := w.AppendBlock(data[:n])
		if err != nil {
			return Handle{}, err
		}
		directory = binary.LittleEndian.AppendUint32(directory, uint32(b.Length))
		if data = data[n:]; len(data) == 0 {
			return w.endRun(h, directory)
		}
	}
}

// CopyRun adds a run of another file without decompressing it, and holds one piece at a time.
func (w *Writer) CopyRun(run *Run) (Handle, error) {
	h, directory := Handle{Offset: w.offset}, []byte(nil)
	var buf []byte
	for i := range run.Pieces() {
		m, rawLen, stored, err := run.stored(i, buf)
		if err != nil {
			return Handle{}, err
		}
		buf = stored
		b, err := w.appendBlock(m, rawLen, stored)
		if err != nil {
			return Handle{}, err
		}
		directory = binary.LittleEndian.AppendUint32(directory, uint32(b.Length))
	}
	return w.endRun(h, directory)
}

func (w *Writer) endRun(h Handle, directory []byte) (Handle, error) {
	if len(directory) > 4 {
		if _, err := w.AppendRaw(directory); err != nil {
			return Handle{}, err
		}
	}
	h.Length = w.offset - h.Offset
	return h, nil
}

// Run reads a run's data by range. It is immutable and safe for concurrent use.
type Run struct {
	r      *Reader
	size   uint64
	offset uint64
	ends   []uint64 // of the pieces, from offset
}

// OpenRun reads the directory of the run at h, whose data is size bytes, and holds it against h.
func (r *Reader) OpenRun(h Handle, size uint64) (*Run, error) {
	if err := r.checkHandle(h); err != nil {
		return nil, err
	}
	n, dir := pieces(size), directoryLen(size)
	if size > MaxRunBytes || h.Length < n*blockHeaderLen+dir {
		return nil, corrupt(r.Name(), int64(h.Offset), "run of %d bytes in %d", size, h.Length)
	}
	run := &Run{r: r, size: size, offset: h.Offset}
	if n == 1 {
		run.ends = []uint64{h.Length}
		return run, nil
	}
	at := Handle{h.Offset + h.Length - dir, dir}
	b, err := r.Block(at, nil)
	if err != nil {
		return nil, err
	}
	if uint64(len(b)) != 4*n {
		return nil, corrupt(r.Name(), int64(at.Offset), "run's directory has %d bytes, for %d pieces", len(b), n)
	}
	run.ends = make([]uint64, n)
	end := uint64(0)
	for i := range run.ends {
		end += uint64(binary.LittleEndian.Uint32(b[4*i:]))
		run.ends[i] = end
	}
	if end != h.Length-dir {
		return nil, corrupt(r.Name(), int64(at.Offset), "run's pieces end at %d, its directory begins at %d",
			h.Offset+end, at.Offset)
	}
	return run, nil
}

// Pieces is how many pieces the run has. All but the last have PieceBytes.
func (run *Run) Pieces() int { return len(run.ends) }

// Size is how long the data is.
func (run *Run) Size() uint64 { return run.size }

// Piece reads and verifies piece i, in dst's memory when that is large enough.
func (run *Run) Piece(i int, dst []byte) ([]byte, error) {
	h := run.handle(i)
	b, err := run.r.Block(h, dst)
	if err != nil {
		return nil, err
	}
	if uint64(len(b)) != run.pieceLen(i) {
		return nil, corrupt(run.r.Name(), int64(h.Offset), "piece %d of a run has %d bytes, not %d", i, len(b),
			run.pieceLen(i))
	}
	return b, nil
}

// All reads the whole data. Memory follows what was really read, not what was declared.
func (run *Run) All() ([]byte, error) {
	if src, ok := run.r.src.(Prefetcher); ok && run.Pieces() > 2 {
		src.Prefetch(int64(run.offset), int64(run.ends[len(run.ends)-1]))
	}
	out := make([]byte, 0, min(run.size, run.ends[len(run.ends)-1]+PieceBytes))
	for i := range run.Pieces() {
		out = slices.Grow(out, int(run.pieceLen(i)))
		n := len(out)
		b, err := run.Piece(i, out[n:n:cap(out)])
		if err != nil {
			return nil, err
		}
		out = out[:n+len(b)]
	}
	return out, nil
}

func (run *Run) handle(i int) Handle {
	at := uint64(0)
	if i > 0 {
		at = run.ends[i-1]
	}
	return Handle{run.offset + at, run.ends[i] - at}
}

func (run *Run) pieceLen(i int) uint64 { return min(PieceBytes, run.size-uint64(i)*PieceBytes) }

// stored reads piece i as it stands in the file, in dst's memory if that is large enough, and verifies it.
func (run *Run) stored(i int, dst []byte) (m method, rawLen int, stored []byte, err error) {
	h := run.handle(i)
	head, b, err := run.r.storedBlock(h, dst)
	if err != nil {
		return 0, 0, nil, err
	}
	if uint64(head.rawLen) != run.pieceLen(i) {
		return 0, 0, nil, corrupt(run.r.Name(), int64(h.Offset), "piece %d of a run has %d bytes, not %d", i,
			head.rawLen, run.pieceLen(i))
	}
	return head.method, int(head.rawLen), b, nil
}
