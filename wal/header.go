package wal

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// The header of a log file, little-endian, written and synced before the file gets its name:
//
//	 0  magic "SCRIBWAL"          56  checksum of the record that ends there (the header's when there is none)
//	 8  version u32, flags u32    64  term of the entry before the first index
//	16  file id                   72  hard state: term
//	24  bytes of the file         80  hard state: vote
//	32  first index               88  hard state: commit
//	40  id of the file before     96  owner: cluster id, 16 bytes
//	48  end of that file         112  owner: node id
//	                             120  checksum: xxhash64 of bytes 0 to 119
//	                             128  the first record
//
// Flag 1 (restart) says that the log begins anew at the first index: the entries of older files are void.
const (
	headerSize        = 128
	headerMagic       = "SCRIBWAL"
	ownerOffset       = 96
	version           = 1
	flagRestart       = 1
	knownFlags        = flagRestart
	originMagic       = "SCRIBWLO"
	originSlot        = 512
	originOwnerOffset = 24
	originSumOffset   = originOwnerOffset + ownerSize
	originName        = "origin"
	minFileBytes      = 4096
)

type header struct {
	restart   bool
	id        uint64
	fileBytes int64  // the file's length when it was taken into use; a shorter file lost something
	first     uint64 // index of the entry that comes next after the files before
	prevID    uint64 // id-1; 0 in the first file of a log
	prevEnd   int64  // end of the last batch of the file before: nothing after it counts
	prevSum   uint64 // checksum of that batch's marker
	prevTerm  uint64 // term of entry first-1; 0 when there is none
	hard      raft.HardState
	owner     Owner  // the same in all files of a log
	sum       uint64 // of the header: the chain of the file's records begins with it
}

func (h *header) encode() []byte {
	b := make([]byte, headerSize)
	le := binary.LittleEndian
	copy(b, headerMagic)
	le.PutUint32(b[8:], version)
	if h.restart {
		le.PutUint32(b[12:], flagRestart)
	}
	le.PutUint64(b[16:], h.id)
	le.PutUint64(b[24:], uint64(h.fileBytes))
	le.PutUint64(b[32:], h.first)
	le.PutUint64(b[40:], h.prevID)
	le.PutUint64(b[48:], uint64(h.prevEnd))
	le.PutUint64(b[56:], h.prevSum)
	le.PutUint64(b[64:], h.prevTerm)
	le.PutUint64(b[72:], h.hard.Term)
	le.PutUint64(b[80:], h.hard.Vote)
	le.PutUint64(b[88:], h.hard.Commit)
	h.owner.put(b[ownerOffset:])
	h.sum = nonZero(xxhash.Sum64(b[:headerSize-8]))
	le.PutUint64(b[headerSize-8:], h.sum)
	return b
}

// decodeHeader reads the header of the file called name, whose bytes are buf.
func decodeHeader(name string, buf []byte) (header, error) {
	bad := func(off int64, format string, args ...any) (header, error) {
		return header{}, &vfs.CorruptError{File: name, Offset: off, Reason: fmt.Sprintf(format, args...)}
	}
	if len(buf) < headerSize {
		return bad(0, "the file has %d bytes, fewer than its header's %d, which was durable before the file was named; %s",
			len(buf), headerSize, remedy)
	}
	le := binary.LittleEndian
	if string(buf[:8]) != headerMagic {
		return bad(0, "the header's magic is %q, not %q; %s", buf[:8], headerMagic, remedy)
	}
	sum := le.Uint64(buf[headerSize-8:])
	if sum == 0 || sum != nonZero(xxhash.Sum64(buf[:headerSize-8])) {
		return bad(0, "the header's checksum does not hold; %s", remedy)
	}
	if v := le.Uint32(buf[8:]); v != version {
		return bad(8, "format version %d is not known, only %d; use the program that wrote it", v, version)
	}
	flags := le.Uint32(buf[12:])
	h := header{
		restart: flags&flagRestart != 0, id: le.Uint64(buf[16:]), fileBytes: int64(le.Uint64(buf[24:])),
		first: le.Uint64(buf[32:]), prevID: le.Uint64(buf[40:]), prevEnd: int64(le.Uint64(buf[48:])),
		prevSum: le.Uint64(buf[56:]), prevTerm: le.Uint64(buf[64:]), sum: sum,
		owner: ownerAt(buf[ownerOffset:]),
		hard:  raft.HardState{Term: le.Uint64(buf[72:]), Vote: le.Uint64(buf[80:]), Commit: le.Uint64(buf[88:])},
	}
	if flags&^knownFlags != 0 || h.id == 0 || h.first == 0 || h.fileBytes < headerSize || h.fileBytes%align != 0 ||
		h.prevEnd < 0 || h.prevID != h.id-1 {
		return bad(8, "the header's fields contradict each other; %s", remedy)
	}
	if int64(len(buf)) < h.fileBytes {
		return bad(int64(len(buf)), "the file has %d bytes and had %d when it was taken into use; %s",
			len(buf), h.fileBytes, remedy)
	}
	return h, nil
}

// The file "origin" names the oldest log file in use. Trim writes it before it lets go of older ones, so a log file
// that is missing can be told from one that was trimmed. It holds two slots in sectors of their own, written in turn,
// because trimming must also work on a full disk and a torn slot must leave the other:
//
//	 0  magic "SCRIBWLO"         24  owner: cluster id, 16 bytes
//	 8  version u32, zero u32    40  owner: node id
//	16  file id                  48  checksum: xxhash64 of bytes 0 to 47
//	                             56  zeros to 512
func encodeOriginSlot(id uint64, owner Owner) []byte {
	b := make([]byte, originSlot)
	copy(b, originMagic)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint64(b[16:], id)
	owner.put(b[originOwnerOffset:])
	binary.LittleEndian.PutUint64(b[originSumOffset:], nonZero(xxhash.Sum64(b[:originSumOffset])))
	return b
}

// origin is what a slot of the origin file says.
type origin struct {
	id    uint64 // of the oldest log file in use
	owner Owner
	slot  int // where it says so
}

// decodeOrigin returns the later of the slots that verify.
func decodeOrigin(name string, b []byte) (latest origin, err error) {
	le := binary.LittleEndian
	for i := 0; i < 2 && len(b) >= (i+1)*originSlot; i++ {
		s := b[i*originSlot:]
		if string(s[:8]) != originMagic || le.Uint64(s[originSumOffset:]) != nonZero(xxhash.Sum64(s[:originSumOffset])) {
			continue
		}
		if v := le.Uint32(s[8:]); v != version {
			return origin{}, &vfs.CorruptError{File: name, Offset: int64(i*originSlot + 8),
				Reason: fmt.Sprintf("format version %d is not known, only %d; use the program that wrote it", v, version)}
		}
		if id := le.Uint64(s[16:]); id > latest.id {
			latest = origin{id: id, owner: ownerAt(s[originOwnerOffset:]), slot: i}
		}
	}
	if latest.id == 0 {
		return origin{}, &vfs.CorruptError{File: name, Offset: 0,
			Reason: "neither record of the oldest log file verifies; " + remedy}
	}
	return latest, nil
}
