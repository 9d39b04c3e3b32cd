package segfile

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/vfs"
)

// All integers are little-endian.
//
//	block    method u8 · raw length u32 · stored length u32 · checksum u64 · stored bytes
//	table    per section: kind u32 · zero u32 · offset u64 · length u64 · checksum u64
//	footer   table offset u64 · table length u32 · version u32 · table checksum u64 · meta offset u64
//	         · salt u64 · file length u64 · footer checksum u64 · magic
const (
	version = 1
	magic   = "SCRBSEG\n"

	blockHeaderLen  = 17
	sectionEntryLen = 32
	footerLen       = 64
	footerSumAt     = 48 // the footer's checksum covers the bytes before it
	magicAt         = 56

	// MaxBlockBytes bounds a block before compression. Longer data goes into a run of blocks.
	MaxBlockBytes = 256 << 10
	// MaxFileBytes bounds a file: twice what a segment is meant to reach.
	MaxFileBytes = 32 << 30
	// MaxSections bounds the section table.
	MaxSections = 64
	// FooterBytes is how much the footer takes at the file's end.
	FooterBytes = footerLen
	// BlockOverhead is what a stored block adds to its bytes.
	BlockOverhead = blockHeaderLen
)

// A Handle says where a block, or a run of adjacent blocks, lies: headers included.
type Handle struct {
	Offset uint64
	Length uint64
}

type blockHeader struct {
	method    method
	rawLen    uint32
	storedLen uint32
	checksum  uint64
}

func (h *blockHeader) put(b []byte) {
	b[0] = byte(h.method)
	binary.LittleEndian.PutUint32(b[1:], h.rawLen)
	binary.LittleEndian.PutUint32(b[5:], h.storedLen)
	binary.LittleEndian.PutUint64(b[9:], h.checksum)
}

// parseBlockHeader reads b[:blockHeaderLen]. It checks nothing.
func parseBlockHeader(b []byte) blockHeader {
	return blockHeader{
		method:    method(b[0]),
		rawLen:    binary.LittleEndian.Uint32(b[1:]),
		storedLen: binary.LittleEndian.Uint32(b[5:]),
		checksum:  binary.LittleEndian.Uint64(b[9:]),
	}
}

// blockSum is the checksum of a block at offset: over its header before the checksum, and its stored bytes.
func blockSum(salt, offset uint64, block []byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(salt ^ offset*0x9e3779b97f4a7c15) // spreads neighbouring offsets over the seed
	d.Write(block[:9])
	d.Write(block[blockHeaderLen:])
	return d.Sum64()
}

// seededSum is the checksum of a section (seed: salt xor kind) or of the table (seed: salt).
func seededSum(seed uint64, data []byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	d.Write(data)
	return d.Sum64()
}

type section struct {
	kind     uint32
	offset   uint64
	length   uint64
	checksum uint64
}

func (s *section) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, s.kind)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, s.offset)
	dst = binary.LittleEndian.AppendUint64(dst, s.length)
	return binary.LittleEndian.AppendUint64(dst, s.checksum)
}

type footer struct {
	tableOffset uint64
	tableLen    uint32
	version     uint32
	tableSum    uint64
	metaOffset  uint64
	salt        uint64
	fileLen     uint64
}

func (f *footer) append(dst []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, f.tableOffset)
	dst = binary.LittleEndian.AppendUint32(dst, f.tableLen)
	dst = binary.LittleEndian.AppendUint32(dst, f.version)
	dst = binary.LittleEndian.AppendUint64(dst, f.tableSum)
	dst = binary.LittleEndian.AppendUint64(dst, f.metaOffset)
	dst = binary.LittleEndian.AppendUint64(dst, f.salt)
	dst = binary.LittleEndian.AppendUint64(dst, f.fileLen)
	dst = binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[at:]))
	return append(dst, magic...)
}

// parseFooter checks b, which is footerLen bytes, against itself and the file's size.
func parseFooter(name string, b []byte, size int64) (footer, error) {
	at := size - footerLen
	if string(b[magicAt:]) != magic {
		return footer{}, corrupt(name, at+magicAt, "no segment magic at the end: truncated, or another kind of file")
	}
	if got, want := xxhash.Sum64(b[:footerSumAt]), binary.LittleEndian.Uint64(b[footerSumAt:]); got != want {
		return footer{}, corrupt(name, at, "footer checksum is %016x, computed %016x", want, got)
	}
	f := footer{
		tableOffset: binary.LittleEndian.Uint64(b[0:]),
		tableLen:    binary.LittleEndian.Uint32(b[8:]),
		version:     binary.LittleEndian.Uint32(b[12:]),
		tableSum:    binary.LittleEndian.Uint64(b[16:]),
		metaOffset:  binary.LittleEndian.Uint64(b[24:]),
		salt:        binary.LittleEndian.Uint64(b[32:]),
		fileLen:     binary.LittleEndian.Uint64(b[40:]),
	}
	switch {
	case f.version != version:
		return footer{}, corrupt(name, at+12, "format version %d; this program reads version %d", f.version, version)
	case f.fileLen > MaxFileBytes:
		return footer{}, corrupt(name, at+40, "file of %d bytes; %d at most", f.fileLen, uint64(MaxFileBytes))
	case f.fileLen != uint64(size):
		return footer{}, corrupt(name, at+40, "footer says %d bytes, the file has %d", f.fileLen, size)
	case f.tableLen%sectionEntryLen != 0 || f.tableLen > MaxSections*sectionEntryLen:
		return footer{}, corrupt(name, at+8, "section table of %d bytes", f.tableLen)
	case f.tableOffset > uint64(at) || f.tableOffset+uint64(f.tableLen) != uint64(at):
		return footer{}, corrupt(name, at, "section table at %d, %d bytes, does not end at the footer",
			f.tableOffset, f.tableLen)
	case f.metaOffset > f.tableOffset:
		return footer{}, corrupt(name, at+24, "meta tail begins at %d, after the section table", f.metaOffset)
	}
	return f, nil
}

// parseTable reads the section table, whose checksum was verified. Sections must follow each other without a gap up
// to the table, kinds ascending.
func parseTable(name string, b []byte, f footer) ([]section, error) {
	sections := make([]section, 0, len(b)/sectionEntryLen)
	for i := 0; i < len(b); i += sectionEntryLen {
		s := section{
			kind:     binary.LittleEndian.Uint32(b[i:]),
			offset:   binary.LittleEndian.Uint64(b[i+8:]),
			length:   binary.LittleEndian.Uint64(b[i+16:]),
			checksum: binary.LittleEndian.Uint64(b[i+24:]),
		}
		at := int64(f.tableOffset) + int64(i)
		if binary.LittleEndian.Uint32(b[i+4:]) != 0 {
			return nil, corrupt(name, at+4, "reserved bytes of section %d are not zero", s.kind)
		}
		if s.offset > f.tableOffset || s.length > f.tableOffset-s.offset {
			return nil, corrupt(name, at+8, "section %d is out of bounds: %d bytes at %d", s.kind, s.length, s.offset)
		}
		if n := len(sections); n == 0 {
			if s.offset < f.metaOffset {
				return nil, corrupt(name, at+8, "section %d begins before the meta tail", s.kind)
			}
		} else if prev := sections[n-1]; s.kind <= prev.kind || s.offset != prev.offset+prev.length {
			return nil, corrupt(name, at, "section %d does not follow section %d", s.kind, prev.kind)
		}
		sections = append(sections, s)
	}
	if n := len(sections); n > 0 && sections[n-1].offset+sections[n-1].length != f.tableOffset {
		return nil, corrupt(name, int64(f.tableOffset), "gap between the sections and their table")
	}
	return sections, nil
}

func corrupt(name string, offset int64, format string, args ...any) error {
	return &vfs.CorruptError{File: name, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}
