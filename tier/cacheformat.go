package tier

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// A file of the range cache is records behind each other, then, once it is finished, a table of them. Little-endian:
//
//	record:  checksum u64 · object 16 · offset u64 · length u32 · the bytes
//	table:   per record: object 16 · offset u64 · length u32 · where the record begins u32
//	trailer: magic 8 · records u32 · where the table begins u32 · checksum of table and trailer before it u64
//
// A record's checksum covers all behind it, seeded with where it stands; object is the first half of the object's
// SHA-256, so a range is found only for the very bytes it was read from. A file without a trailer that verifies was
// not finished, and is dropped: it is only a cache.
const (
	cacheMagic       = "SCRBRNG1"
	cacheRecordLen   = 8 + cacheIDLen
	cacheIDLen       = 16 + 8 + 4
	cacheTableRecord = cacheIDLen + 4
	cacheTrailerLen  = 8 + 4 + 4 + 8
)

// cacheID names a range by the content of its object.
type cacheID struct {
	object [16]byte
	off    int64
	n      uint32
}

func cacheIDOf(o *SealedObject, off int64, n int) cacheID {
	return cacheID{[16]byte(o.SHA256[:16]), off, uint32(n)}
}

func (id cacheID) append(dst []byte) []byte {
	dst = append(dst, id.object[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(id.off))
	return binary.LittleEndian.AppendUint32(dst, id.n)
}

func parseCacheID(b []byte) cacheID {
	return cacheID{[16]byte(b[:16]), int64(binary.LittleEndian.Uint64(b[16:])), binary.LittleEndian.Uint32(b[24:])}
}

func (id cacheID) hash() uint64 {
	var b [cacheIDLen]byte
	return xxhash.Sum64(id.append(b[:0]))
}

// appendCacheRecord encodes a record that begins at in its file.
func appendCacheRecord(dst []byte, id cacheID, at uint32, data []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, 8)...)
	dst = append(id.append(dst), data...)
	binary.LittleEndian.PutUint64(dst[start:], cacheSum(at, dst[start+8:]))
	return dst
}

// verifyCacheRecord returns the bytes of a record read from at, if it is the one of id and intact.
func verifyCacheRecord(b []byte, id cacheID, at uint32) ([]byte, bool) {
	if len(b) != cacheRecordLen+int(id.n) || parseCacheID(b[8:]) != id ||
		binary.LittleEndian.Uint64(b) != cacheSum(at, b[8:]) {
		return nil, false
	}
	return b[cacheRecordLen:], true
}

func cacheSum(at uint32, b []byte) uint64 {
	d := xxhash.NewWithSeed(uint64(at) + 1)
	d.Write(b) // never fails
	return d.Sum64()
}

// cachePlace is where a record begins.
type cachePlace struct {
	id cacheID
	at uint32
}

// appendCacheTable encodes the end of a file whose records end at tableAt.
func appendCacheTable(dst []byte, places []cachePlace, tableAt uint32) []byte {
	start := len(dst)
	for _, p := range places {
		dst = binary.LittleEndian.AppendUint32(p.id.append(dst), p.at)
	}
	dst = append(dst, cacheMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(places)))
	dst = binary.LittleEndian.AppendUint32(dst, tableAt)
	return binary.LittleEndian.AppendUint64(dst, cacheSum(tableAt, dst[start:]))
}

// parseCacheTrailer returns where the table of a file of this size begins, from the file's last bytes; false when they
// are no trailer.
func parseCacheTrailer(b []byte, size int64) (tableAt int64, ok bool) {
	if len(b) != cacheTrailerLen || string(b[:8]) != cacheMagic {
		return 0, false
	}
	count, at := int64(binary.LittleEndian.Uint32(b[8:])), int64(binary.LittleEndian.Uint32(b[12:]))
	return at, at+count*cacheTableRecord+cacheTrailerLen == size
}

// parseCacheTable reads a table with its trailer. The records are in order and within the file, or it is refused.
func parseCacheTable(b []byte, tableAt uint32) ([]cachePlace, bool) {
	sumAt := len(b) - 8
	if len(b) < cacheTrailerLen || (len(b)-cacheTrailerLen)%cacheTableRecord != 0 ||
		binary.LittleEndian.Uint64(b[sumAt:]) != cacheSum(tableAt, b[:sumAt]) {
		return nil, false
	}
	places := make([]cachePlace, (len(b)-cacheTrailerLen)/cacheTableRecord)
	end := uint64(0)
	for i := range places {
		r := b[i*cacheTableRecord:]
		p := cachePlace{parseCacheID(r), binary.LittleEndian.Uint32(r[cacheIDLen:])}
		if uint64(p.at) < end || p.id.off < 0 {
			return nil, false
		}
		if end = uint64(p.at) + cacheRecordLen + uint64(p.id.n); end > uint64(tableAt) {
			return nil, false
		}
		places[i] = p
	}
	return places, true
}
