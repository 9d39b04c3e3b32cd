package wal

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/raft"
)

// A record, 8-byte aligned in its file, little-endian:
//
//	 0        4    5    6     8                16                       16+length, then zeros up to 8 bytes
//	+--------+----+----+-----+----------------+------------------------+-----+
//	| length |type|kind|  0  |    checksum    |        payload         | pad |
//	+--------+----+----+-----+----------------+------------------------+-----+
//
// length counts the payload without its padding. checksum is xxhash64 over (file id, offset of the record, checksum of
// the record before it, bytes 0 to 7, payload, padding), so a record verifies only where it was written, in the file
// for which it was written, after the record it was written after. The first record of a file chains to the checksum
// of the file's header. Zero is never a length and never a checksum.
//
//	entry       index u64, term u64, data            kind is the entry's kind
//	hard state  term u64, vote u64, commit u64
//	marker      start u64, first u64, last u64, self u64
//	note        through u64, last u64, self u64
//
// Markers and notes verify a second time on their own: self is xxhash64 over (checksum of the file's header, file id,
// offset, type, the payload before self), so they can be believed beyond damaged bytes.

type recordType uint8

const (
	typeEntry  recordType = 1 // one raft entry
	typeHard   recordType = 2 // a hard state, replacing the one before
	typeMarker recordType = 3 // ends a batch: what stands between start and here was written and synced as one
	typeNote   recordType = 4 // follows a marker: the batch that ends at through was durable when this was written
)

const (
	align       = 8
	recordHead  = 16
	entryHead   = 16
	hardBytes   = 24
	markerBytes = 32
	noteBytes   = 24

	hardSize   = recordHead + hardBytes
	markerSize = recordHead + markerBytes
	noteSize   = recordHead + noteBytes
)

// MaxEntryBytes bounds Data of one entry, MaxBatchBytes what one Append may write.
const (
	MaxEntryBytes = 256 << 20
	MaxBatchBytes = 1 << 30
)

func pad(n int64) int64 { return (n + align - 1) &^ (align - 1) }

func entrySize(data int) int64 { return recordHead + pad(entryHead+int64(data)) }

// BatchBytes is what Append writes for entries together with a hard state: the figure to compare with Room.
func BatchBytes(entries []raft.Entry) int64 {
	n := int64(hardSize + markerSize + noteSize)
	for i := range entries {
		n += entrySize(len(entries[i].Data))
	}
	return n
}

// chainSum is the checksum of a record: its head, and all behind it with the padding, in as many parts as it stands in.
func chainSum(id uint64, off int64, prev uint64, recHead []byte, parts ...[]byte) uint64 {
	var head [32]byte
	binary.LittleEndian.PutUint64(head[0:], id)
	binary.LittleEndian.PutUint64(head[8:], uint64(off))
	binary.LittleEndian.PutUint64(head[16:], prev)
	copy(head[24:], recHead[:8])
	var d xxhash.Digest
	d.Reset()
	d.Write(head[:])
	for _, p := range parts {
		d.Write(p)
	}
	return nonZero(d.Sum64())
}

// selfSum is the checksum by which a marker or note verifies without the records before it.
func selfSum(origin, id uint64, off int64, t recordType, payload []byte) uint64 {
	var head [32]byte
	binary.LittleEndian.PutUint64(head[0:], origin)
	binary.LittleEndian.PutUint64(head[8:], id)
	binary.LittleEndian.PutUint64(head[16:], uint64(off))
	head[24] = byte(t)
	var d xxhash.Digest
	d.Reset()
	d.Write(head[:])
	d.Write(payload)
	return nonZero(d.Sum64())
}

func nonZero(sum uint64) uint64 {
	if sum == 0 {
		return 1
	}
	return sum
}

// encoder appends records to buf, which will stand at offset base of file id. What is large is not copied there: it
// stands between two parts of buf, as a piece.
type encoder struct {
	id     uint64
	origin uint64 // checksum of the file's header
	base   int64
	prev   uint64 // checksum of the record before the next one
	buf    []byte
	pieces []apart
	apart  int64 // bytes of all pieces
}

// apart is data that follows the first at bytes of an encoder's buf.
type apart struct {
	at   int
	data []byte
}

// apartBytes is from which size on a write of its own costs less than a copy.
const apartBytes = 64 << 10

// at is the file offset of the next record.
func (e *encoder) at() int64 { return e.base + int64(len(e.buf)) + e.apart }

func (e *encoder) open(t recordType, kind byte, length int) int {
	start := len(e.buf)
	e.buf = binary.LittleEndian.AppendUint32(e.buf, uint32(length))
	e.buf = append(e.buf, byte(t), kind, 0, 0)
	e.buf = append(e.buf, 0, 0, 0, 0, 0, 0, 0, 0)
	return start
}

func (e *encoder) u64(v uint64) { e.buf = binary.LittleEndian.AppendUint64(e.buf, v) }

func (e *encoder) seal(start int) {
	off := e.base + e.apart + int64(start)
	for (len(e.buf)-start)%align != 0 {
		e.buf = append(e.buf, 0)
	}
	rec := e.buf[start:]
	e.prev = chainSum(e.id, off, e.prev, rec[:recordHead], rec[recordHead:])
	binary.LittleEndian.PutUint64(rec[8:], e.prev)
}

func (e *encoder) entry(ent *raft.Entry) {
	if len(ent.Data) >= apartBytes {
		e.largeEntry(ent)
		return
	}
	start := e.open(typeEntry, byte(ent.Kind), entryHead+len(ent.Data))
	e.u64(ent.Index)
	e.u64(ent.Term)
	e.buf = append(e.buf, ent.Data...)
	e.seal(start)
}

// largeEntry leaves the data where it is, which nobody changes until it is written.
func (e *encoder) largeEntry(ent *raft.Entry) {
	off, start := e.at(), e.open(typeEntry, byte(ent.Kind), entryHead+len(ent.Data))
	e.u64(ent.Index)
	e.u64(ent.Term)
	split := len(e.buf)
	e.pieces = append(e.pieces, apart{at: split, data: ent.Data})
	e.apart += int64(len(ent.Data))
	for n := len(ent.Data); n%align != 0; n++ {
		e.buf = append(e.buf, 0)
	}
	head := e.buf[start : start+recordHead]
	e.prev = chainSum(e.id, off, e.prev, head, e.buf[start+recordHead:split], ent.Data, e.buf[split:])
	binary.LittleEndian.PutUint64(head[8:], e.prev)
}

func (e *encoder) hard(hs raft.HardState) {
	start := e.open(typeHard, 0, hardBytes)
	e.u64(hs.Term)
	e.u64(hs.Vote)
	e.u64(hs.Commit)
	e.seal(start)
}

// marker ends the batch that began at offset begin. first is the index of its first entry (0 when it has none), last
// the log's last index after it.
func (e *encoder) marker(begin int64, first, last uint64) {
	start := e.open(typeMarker, 0, markerBytes)
	e.u64(uint64(begin))
	e.u64(first)
	e.u64(last)
	e.self(typeMarker, start)
}

// note says that the batch ending at offset through, which left the log at index last, is durable.
func (e *encoder) note(through int64, last uint64) {
	start := e.open(typeNote, 0, noteBytes)
	e.u64(uint64(through))
	e.u64(last)
	e.self(typeNote, start)
}

func (e *encoder) self(t recordType, start int) {
	e.u64(selfSum(e.origin, e.id, e.base+e.apart+int64(start), t, e.buf[start+recordHead:]))
	e.seal(start)
}

// record is a record as it stands in a file. Payload points into the file's bytes.
type record struct {
	off     int64
	end     int64
	prev    uint64
	sum     uint64
	typ     recordType
	kind    byte
	payload []byte
}

func (r *record) u64(i int) uint64 { return binary.LittleEndian.Uint64(r.payload[8*i:]) }

// recordAt reads the record at off without trust in any byte of it. why is empty when its checksum holds; it then says
// nothing yet of the record's shape (see checkShape).
func recordAt(buf []byte, id uint64, off int64, prev uint64) (rec record, why string) {
	rest := int64(len(buf)) - off
	if off < 0 || off%align != 0 || rest < recordHead {
		return rec, "the file ends before the record's head"
	}
	b := buf[off:]
	length := int64(binary.LittleEndian.Uint32(b))
	if length == 0 {
		return rec, "the record's length is zero"
	}
	if length > rest-recordHead || pad(length) > rest-recordHead {
		return rec, "the record's length goes beyond the file"
	}
	size := recordHead + pad(length)
	sum := binary.LittleEndian.Uint64(b[8:])
	if sum == 0 || sum != chainSum(id, off, prev, b[:recordHead], b[recordHead:size]) {
		return rec, "the record's checksum does not hold"
	}
	return record{
		off: off, end: off + size, prev: prev, sum: sum,
		typ: recordType(b[4]), kind: b[5], payload: b[recordHead : recordHead+length : recordHead+length],
	}, ""
}

// checkShape says what is wrong with a record whose checksum holds. Such a record was written so, by a fault or by a
// later version; it is never a torn one.
func (r *record) checkShape(origin, id uint64) string {
	want := 0
	switch r.typ {
	case typeEntry:
		if len(r.payload) < entryHead {
			return "the entry is shorter than its head"
		}
		return ""
	case typeHard:
		want = hardBytes
	case typeMarker:
		want = markerBytes
	case typeNote:
		want = noteBytes
	default:
		return "the record's type is unknown"
	}
	if len(r.payload) != want || r.kind != 0 {
		return "the record's length or kind does not fit its type"
	}
	if r.typ == typeMarker || r.typ == typeNote {
		body := r.payload[:want-8]
		if r.u64(want/8-1) != selfSum(origin, id, r.off, r.typ, body) {
			return "the record's own checksum does not hold"
		}
	}
	return ""
}

func (r *record) hardState() raft.HardState {
	return raft.HardState{Term: r.u64(0), Vote: r.u64(1), Commit: r.u64(2)}
}
