package node

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
)

// A bulk frame is what members say to each other when one copies a snapshot (docs/format/snapshot.md). All numbers are
// big-endian:
//
//	kind u8 · id u64 · body
//
//	manifest request   sum u64, 0 for the newest · offset u64
//	manifest           index u64 · sum u64 · total u64 · offset u64 · data
//	chunk request      first seq u64 · last seq u64 · root 32 · bytes u64 · offset u64 · length u32
//	chunk              offset u64 · data
//	refusal            nothing
//
// An answer bears the id of its request. The sum is the xxhash64 of the whole encoded manifest.
type bulkKind uint8

const (
	bulkManifestRequest bulkKind = 1
	bulkManifest        bulkKind = 2
	bulkChunkRequest    bulkKind = 3
	bulkChunk           bulkKind = 4
	bulkRefusal         bulkKind = 5
)

// maxChunkBytes bounds the data of a bulk frame.
const maxChunkBytes = 256 << 10

// bulkFrame is any bulk frame; the kind says which fields mean something.
type bulkFrame struct {
	kind   bulkKind
	id     uint64
	index  uint64 // raft index that the manifest stands for
	sum    uint64
	total  uint64 // length of the manifest
	part   ledger.SegmentPart
	offset uint64
	length uint32
	data   []byte
}

var errBulk = errors.New("node: malformed bulk frame")

func (f *bulkFrame) encode() []byte {
	return f.append(make([]byte, 0, 1+8+4*8+merkle.HashSize+len(f.data)))
}

// chunkRoom returns the frame of a chunk, and the place in it where the data is to be put: it is not copied again.
func chunkRoom(id, offset uint64, length uint32) (payload, data []byte) {
	f := bulkFrame{kind: bulkChunk, id: id, offset: offset}
	const head = 1 + 8 + 8
	payload = f.append(make([]byte, 0, head+int(length)))[:head+int(length)]
	return payload, payload[head:]
}

func (f *bulkFrame) append(b []byte) []byte {
	be := binary.BigEndian
	b = append(b, byte(f.kind))
	b = be.AppendUint64(b, f.id)
	switch f.kind {
	case bulkManifestRequest:
		b = be.AppendUint64(b, f.sum)
		b = be.AppendUint64(b, f.offset)
	case bulkManifest:
		b = be.AppendUint64(b, f.index)
		b = be.AppendUint64(b, f.sum)
		b = be.AppendUint64(b, f.total)
		b = be.AppendUint64(b, f.offset)
		b = append(b, f.data...)
	case bulkChunkRequest:
		b = be.AppendUint64(b, f.part.FirstSeq)
		b = be.AppendUint64(b, f.part.LastSeq)
		b = append(b, f.part.Root[:]...)
		b = be.AppendUint64(b, f.part.Bytes)
		b = be.AppendUint64(b, f.offset)
		b = be.AppendUint32(b, f.length)
	case bulkChunk:
		b = be.AppendUint64(b, f.offset)
		b = append(b, f.data...)
	}
	return b
}

// parseBulk reads what encode wrote, all of b. The data aliases b. What it returns is within bounds: no sum of an offset
// and a length overflows, and none passes the end of what it is part of.
func parseBulk(b []byte) (bulkFrame, error) {
	d := bulkDecoder{b: b}
	f := bulkFrame{kind: bulkKind(d.u8()), id: d.u64()}
	switch f.kind {
	case bulkManifestRequest:
		f.sum, f.offset = d.u64(), d.u64()
	case bulkManifest:
		f.index, f.sum, f.total, f.offset = d.u64(), d.u64(), d.u64(), d.u64()
		f.data = d.rest()
		d.need(f.total <= ledger.MaxSnapshotBytes && f.offset <= f.total && uint64(len(f.data)) <= f.total-f.offset)
	case bulkChunkRequest:
		f.part.FirstSeq, f.part.LastSeq = d.u64(), d.u64()
		copy(f.part.Root[:], d.take(merkle.HashSize))
		f.part.Bytes, f.offset, f.length = d.u64(), d.u64(), uint32(d.u64From(4))
		d.need(f.part.FirstSeq <= f.part.LastSeq && f.length > 0 && f.length <= maxChunkBytes &&
			f.offset <= f.part.Bytes && uint64(f.length) <= f.part.Bytes-f.offset)
	case bulkChunk:
		f.offset = d.u64()
		f.data = d.rest()
	case bulkRefusal:
	default:
		d.bad = true
	}
	if d.bad || len(d.b) != 0 || len(f.data) > maxChunkBytes {
		return bulkFrame{}, fmt.Errorf("%w: kind %d, %d bytes", errBulk, f.kind, len(b))
	}
	return f, nil
}

// bulkDecoder takes fields off the front of b. After one that is not there bad is set, and all further ones are zero.
type bulkDecoder struct {
	b   []byte
	bad bool
}

func (d *bulkDecoder) take(n int) []byte {
	if d.bad || n > len(d.b) {
		d.bad = true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *bulkDecoder) u8() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *bulkDecoder) u64() uint64 { return d.u64From(8) }

func (d *bulkDecoder) u64From(n int) (v uint64) {
	for _, c := range d.take(n) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (d *bulkDecoder) rest() []byte { return d.take(len(d.b)) }

func (d *bulkDecoder) need(ok bool) { d.bad = d.bad || !ok }
