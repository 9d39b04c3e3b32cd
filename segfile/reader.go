package segfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
)

// Reader reads a finished file. It is immutable and safe for concurrent use. What it returns is on the heap.
type Reader struct {
	src       Source
	slicer    Slicer // src, when it can be looked at in place
	foot      footer
	sections  []section
	blocksEnd uint64 // blocks lie in [0, blocksEnd)
	lender    Lender // src, when it lends
	dec       decoder
	room      sync.Pool // of *[]byte: blocks as they are stored, on the way from a source that is no Slicer
}

// Open verifies the footer and the section table of src. Blocks and sections are verified as they are read.
func Open(src Source) (_ *Reader, err error) {
	r := &Reader{src: src}
	r.room.New = func() any { return new([]byte) }
	r.slicer, _ = src.(Slicer)
	r.lender, _ = src.(Lender)
	size := src.Size()
	if size < footerLen {
		return nil, corrupt(src.Name(), 0, "%d bytes are too few for a segment file; it was truncated", size)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer guard(src.Name(), uint64(size-footerLen), &err)
	b, err := r.bytes(uint64(size-footerLen), footerLen)
	if err != nil {
		return nil, err
	}
	if r.foot, err = parseFooter(src.Name(), b, size); err != nil {
		return nil, err
	}
	table, err := r.bytes(r.foot.tableOffset, uint64(r.foot.tableLen))
	if err != nil {
		return nil, err
	}
	if got := seededSum(r.foot.salt, table); got != r.foot.tableSum {
		return nil, corrupt(src.Name(), int64(r.foot.tableOffset), "section table checksum is %016x, computed %016x",
			r.foot.tableSum, got)
	}
	if r.sections, err = parseTable(src.Name(), table, r.foot); err != nil {
		return nil, err
	}
	r.blocksEnd = r.foot.tableOffset
	if len(r.sections) > 0 {
		r.blocksEnd = r.sections[0].offset
	}
	return r, nil
}

// Name is the source's name.
func (r *Reader) Name() string { return r.src.Name() }

// Size is the file's length in bytes.
func (r *Reader) Size() uint64 { return r.foot.fileLen }

// Salt is what WriterOptions.Salt was.
func (r *Reader) Salt() uint64 { return r.foot.salt }

// MetaOffset is where the meta tail begins, and the blocks of data end.
func (r *Reader) MetaOffset() uint64 { return r.foot.metaOffset }

// BlocksEnd is where the last block ends, those of the meta tail included.
func (r *Reader) BlocksEnd() uint64 { return r.blocksEnd }

// SectionAt says where a section lies; false when the file has none of this kind.
func (r *Reader) SectionAt(kind uint32) (Handle, bool) {
	for i := range r.sections {
		if s := &r.sections[i]; s.kind == kind {
			return Handle{s.offset, s.length}, true
		}
	}
	return Handle{}, false
}

// Section reads and verifies a section. A missing one is a *vfs.CorruptError: who asks needs it.
func (r *Reader) Section(kind uint32) ([]byte, error) {
	for i := range r.sections {
		if s := &r.sections[i]; s.kind == kind {
			return r.section(s)
		}
	}
	return nil, corrupt(r.Name(), int64(r.foot.tableOffset), "section %d is missing", kind)
}

func (r *Reader) section(s *section) (_ []byte, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer guard(r.Name(), s.offset, &err)
	b, err := r.bytes(s.offset, s.length)
	if err != nil {
		return nil, err
	}
	if r.slicer != nil {
		b = bytes.Clone(b) // verified below, so it is the copy that is trusted
	}
	if got := seededSum(r.foot.salt^uint64(s.kind), b); got != s.checksum {
		return nil, corrupt(r.Name(), int64(s.offset), "section %d (%d bytes): checksum is %016x, computed %016x",
			s.kind, s.length, s.checksum, got)
	}
	return b, nil
}

// Block reads the block at h, verifies it, and returns its bytes, in dst's memory when that is large enough.
func (r *Reader) Block(h Handle, dst []byte) (_ []byte, err error) {
	if err := r.checkHandle(h); err != nil {
		return nil, err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer guard(r.Name(), h.Offset, &err)
	// What is returned is decoded, or copied, out of what follows.
	var stored []byte
	if r.lender != nil {
		b, loan := r.lender.Lend(int64(h.Offset), int64(h.Length))
		if loan != nil {
			defer loan.Return()
		}
		stored = b
	}
	if stored == nil {
		var room *[]byte
		if r.slicer == nil {
			room = r.room.Get().(*[]byte)
			defer r.room.Put(room)
		}
		if stored, err = r.bytesInto(room, h.Offset, h.Length); err != nil {
			return nil, err
		}
	}
	head, err := r.verifyBlock(h.Offset, stored)
	if err != nil {
		if head, stored, err = r.again(h, err); err != nil {
			return nil, err
		}
	}
	if err := r.checkLength(head, h); err != nil {
		return nil, err
	}
	return r.decode(head, h.Offset, stored, dst[:0])
}

// storedBlock reads the block at h as it stands in the file, in dst's memory if that is large enough, and verifies it.
func (r *Reader) storedBlock(h Handle, dst []byte) (head blockHeader, stored []byte, err error) {
	if err := r.checkHandle(h); err != nil {
		return head, nil, err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer guard(r.Name(), h.Offset, &err)
	b, err := r.bytesInto(&dst, h.Offset, h.Length)
	if err != nil {
		return head, nil, err
	}
	if r.slicer != nil {
		b = append(dst[:0], b...) // what is verified below is this copy
	}
	if head, err = r.verifyBlock(h.Offset, b); err != nil {
		if head, b, err = r.again(h, err); err != nil {
			return head, nil, err
		}
	}
	if err := r.checkLength(head, h); err != nil {
		return head, nil, err
	}
	return head, b[blockHeaderLen:], nil
}

// again reads a damaged block once more, if the source may have given a bad copy of it, and verifies it.
func (r *Reader) again(h Handle, damage error) (head blockHeader, stored []byte, err error) {
	src, ok := r.src.(Refresher)
	if !ok {
		return head, nil, damage
	}
	stored = make([]byte, h.Length)
	if n, err := src.ReadFresh(stored, int64(h.Offset)); uint64(n) != h.Length {
		return head, nil, r.readError(h.Offset, err)
	}
	head, err = r.verifyBlock(h.Offset, stored)
	return head, stored, err
}

func (r *Reader) checkLength(head blockHeader, h Handle) error {
	if n := blockHeaderLen + uint64(head.storedLen); n != h.Length {
		return corrupt(r.Name(), int64(h.Offset), "block is %d bytes long, its reference says %d", n, h.Length)
	}
	return nil
}

func (r *Reader) checkHandle(h Handle) error {
	if h.Length < blockHeaderLen || h.Offset > r.blocksEnd || h.Length > r.blocksEnd-h.Offset {
		return corrupt(r.Name(), int64(min(h.Offset, r.blocksEnd)),
			"reference to a block at %d, %d bytes, is out of bounds", h.Offset, h.Length)
	}
	return nil
}

// verifyBlock checks the block that b begins with: bounds first, then the checksum.
func (r *Reader) verifyBlock(offset uint64, b []byte) (blockHeader, error) {
	if len(b) < blockHeaderLen {
		return blockHeader{}, corrupt(r.Name(), int64(offset), "%d bytes are too few for a block", len(b))
	}
	head := parseBlockHeader(b)
	if head.rawLen > MaxBlockBytes || uint64(head.storedLen) > uint64(len(b)-blockHeaderLen) {
		return blockHeader{}, corrupt(r.Name(), int64(offset), "block of %d bytes, %d stored, is out of bounds",
			head.rawLen, head.storedLen)
	}
	got := blockSum(r.foot.salt, offset, b[:blockHeaderLen+int(head.storedLen)])
	if got != head.checksum {
		return blockHeader{}, corrupt(r.Name(), int64(offset), "block checksum is %016x, computed %016x",
			head.checksum, got)
	}
	return head, nil
}

// decode appends the bytes of a verified block to dst.
func (r *Reader) decode(head blockHeader, offset uint64, b, dst []byte) ([]byte, error) {
	at, n := len(dst), int(head.rawLen)
	dst = slices.Grow(dst, n)[:at+n]
	if err := r.dec.decode(head.method, dst[at:at+n:at+n], b[blockHeaderLen:]); err != nil {
		return nil, corrupt(r.Name(), int64(offset), "block does not decompress: %v", err)
	}
	return dst, nil
}

// bytes returns [off, off+n), in place where the source allows it. The caller has checked the bounds.
func (r *Reader) bytes(off, n uint64) ([]byte, error) {
	var room []byte
	return r.bytesInto(&room, off, n)
}

// bytesInto is bytes, which takes room for what cannot be looked at in place, and makes it larger if need be.
func (r *Reader) bytesInto(room *[]byte, off, n uint64) ([]byte, error) {
	if r.slicer != nil {
		b, err := r.slicer.Slice(int64(off), int64(n))
		if err != nil {
			return nil, r.readError(off, err)
		}
		return b, nil
	}
	if uint64(cap(*room)) < n {
		*room = make([]byte, n)
	}
	b := (*room)[:n]
	if got, err := r.src.ReadAt(b, int64(off)); uint64(got) != n {
		return nil, r.readError(off, err)
	}
	return b, nil
}

func (r *Reader) readError(off uint64, err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt(r.Name(), int64(off), "the file ends early; it was truncated after it was opened")
	}
	return fmt.Errorf("segfile: read %s at %d: %w", r.Name(), off, err)
}
