package segfile

import (
	"errors"
	"fmt"
	"io"
)

// WriterOptions tune a Writer. The zero value is the documented default.
type WriterOptions struct {
	Compression Compression // default S2
	// Salt makes the file's checksums its own. Two files that may be taken for each other want different salts.
	Salt uint64
	// BufferBytes is gathered before the output is written; default 256 KiB.
	BufferBytes int
}

// Writer appends blocks, then sections, then the footer. It never seeks. After an error it is of no further use and
// repeats that error.
type Writer struct {
	out      io.Writer
	buf      []byte // not written yet; it grows with the file, up to limit
	limit    int
	enc      *encoder
	salt     uint64
	offset   uint64 // bytes written so far
	meta     uint64 // where the meta tail begins; valid once inMeta
	inMeta   bool
	sections []section
	scratch  []byte
	err      error
}

// NewWriter begins a file. The caller owns out: it syncs and closes it after Finish.
func NewWriter(out io.Writer, opts WriterOptions) (*Writer, error) {
	enc, err := newEncoder(opts.Compression)
	if err != nil {
		return nil, err
	}
	if opts.BufferBytes <= 0 {
		opts.BufferBytes = 256 << 10
	}
	return &Writer{out: out, limit: opts.BufferBytes, enc: enc, salt: opts.Salt}, nil
}

// Offset is where the next block will begin.
func (w *Writer) Offset() uint64 { return w.offset }

// AppendBlock adds a block of at most MaxBlockBytes, compressed where that pays.
func (w *Writer) AppendBlock(raw []byte) (Handle, error) {
	m, stored := methodNone, raw
	if len(raw) <= MaxBlockBytes {
		m, stored = w.enc.encode(raw)
	}
	return w.appendBlock(m, len(raw), stored)
}

// AppendRaw adds a block that is stored as it is, whose place can be computed by a reader: it is len(raw) plus
// BlockOverhead bytes long.
func (w *Writer) AppendRaw(raw []byte) (Handle, error) {
	return w.appendBlock(methodNone, len(raw), raw)
}

func (w *Writer) appendBlock(m method, rawLen int, stored []byte) (Handle, error) {
	if w.err != nil {
		return Handle{}, w.err
	}
	if rawLen > MaxBlockBytes {
		return Handle{}, w.fail(fmt.Errorf("segfile: block of %d bytes; %d at most", rawLen, MaxBlockBytes))
	}
	if len(w.sections) > 0 {
		return Handle{}, w.fail(errors.New("segfile: a block after a section"))
	}
	head := blockHeader{method: m, rawLen: uint32(rawLen), storedLen: uint32(len(stored))}
	w.scratch = append(w.scratch[:0], make([]byte, blockHeaderLen)...)
	head.put(w.scratch)
	w.scratch = append(w.scratch, stored...)
	head.checksum = blockSum(w.salt, w.offset, w.scratch)
	head.put(w.scratch)
	h := Handle{w.offset, uint64(len(w.scratch))}
	if w.offset+h.Length > MaxFileBytes {
		return Handle{}, w.fail(fmt.Errorf("segfile: file of over %d bytes", uint64(MaxFileBytes)))
	}
	return h, w.write(w.scratch)
}

// BeginMeta marks the end of the data: what follows, blocks included, belongs to the meta tail.
func (w *Writer) BeginMeta() {
	if !w.inMeta {
		w.meta, w.inMeta = w.offset, true
	}
}

// AddSection adds a section. Kinds must ascend. Sections are stored as they are.
func (w *Writer) AddSection(kind uint32, data []byte) error {
	if w.err != nil {
		return w.err
	}
	w.BeginMeta()
	if n := len(w.sections); n == MaxSections || n > 0 && w.sections[n-1].kind >= kind {
		return w.fail(fmt.Errorf("segfile: section %d is one too many or out of order", kind))
	}
	w.sections = append(w.sections, section{kind, w.offset, uint64(len(data)), seededSum(w.salt^uint64(kind), data)})
	return w.write(data)
}

// Finish writes the section table and the footer, flushes, and returns the file's length.
func (w *Writer) Finish() (uint64, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.BeginMeta()
	var tail []byte
	for i := range w.sections {
		tail = w.sections[i].append(tail)
	}
	f := footer{
		tableOffset: w.offset,
		tableLen:    uint32(len(tail)),
		version:     version,
		tableSum:    seededSum(w.salt, tail),
		metaOffset:  w.meta,
		salt:        w.salt,
		fileLen:     w.offset + uint64(len(tail)) + footerLen,
	}
	if f.fileLen > MaxFileBytes {
		return 0, w.fail(fmt.Errorf("segfile: file of %d bytes; %d at most", f.fileLen, uint64(MaxFileBytes)))
	}
	if err := w.write(f.append(tail)); err != nil {
		return 0, err
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	w.err = errors.New("segfile: writer is finished")
	return w.offset, nil
}

// write gathers b. The output gets pieces of limit bytes, or larger ones as they come.
func (w *Writer) write(b []byte) error {
	w.offset += uint64(len(b))
	for len(b) > w.limit-len(w.buf) {
		if len(w.buf) == 0 {
			return w.put(b)
		}
		n := w.limit - len(w.buf)
		w.reserve(n)
		w.buf, b = append(w.buf, b[:n]...), b[n:]
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.reserve(len(b))
	w.buf = append(w.buf, b...)
	return nil
}

// firstBuffer is what a Writer gathers in at first.
const firstBuffer = 16 << 10

// reserve makes room for n more bytes. The buffer doubles until it has its full size: append would grow a large one by
// quarters, and copy it four times over.
func (w *Writer) reserve(n int) {
	need := len(w.buf) + n
	if need <= cap(w.buf) {
		return
	}
	buf := make([]byte, len(w.buf), min(max(need, 2*cap(w.buf), firstBuffer), w.limit))
	copy(buf, w.buf)
	w.buf = buf
}

func (w *Writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	err := w.put(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *Writer) put(b []byte) error {
	n, err := w.out.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return w.fail(fmt.Errorf("segfile: write: %w", err))
	}
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = err
	return err
}
