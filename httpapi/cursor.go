package httpapi

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// cursor says where the next page of a range begins, and of which scan. In a URL it is unpadded URL-safe base64 of
//
//	version u8 = 1 · flags u8 · pinned seq u64 · bounds hash u64 · last key · xxhash64 of all before
//
// with big-endian numbers. The checksum finds damage; it is no signature, and needs to be none: a cursor grants
// nothing that a query could not ask for.
type cursor struct {
	reverse bool
	clamped bool   // as_of_seq was beyond the ledger's end, and pinned to the end
	pinned  uint64 // the scan sees the ledger as of this seq
	bounds  uint64 // hash of the scan's bounds
	last    []byte // the last key of the page before
}

const (
	cursorVersion  = 1
	cursorReverse  = 1 << 0
	cursorClamped  = 1 << 1
	cursorHead     = 1 + 1 + 8 + 8
	cursorChecksum = 8
)

func (k *cursor) encode() string {
	b := make([]byte, 0, cursorHead+len(k.last)+cursorChecksum)
	var flags byte
	if k.reverse {
		flags |= cursorReverse
	}
	if k.clamped {
		flags |= cursorClamped
	}
	b = append(b, cursorVersion, flags)
	b = binary.BigEndian.AppendUint64(b, k.pinned)
	b = binary.BigEndian.AppendUint64(b, k.bounds)
	b = append(b, k.last...)
	b = binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeCursor reads what encode wrote, and nothing else.
func decodeCursor(s string) (cursor, error) {
	bad := badRequest("the cursor is damaged, or of another version")
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) <= cursorHead+cursorChecksum {
		return cursor{}, bad
	}
	body, sum := b[:len(b)-cursorChecksum], b[len(b)-cursorChecksum:]
	if binary.BigEndian.Uint64(sum) != xxhash.Sum64(body) {
		return cursor{}, bad
	}
	flags := body[1]
	// The decoder skips line breaks, which encode never writes; the length gives them away.
	if body[0] != cursorVersion || flags&^(cursorReverse|cursorClamped) != 0 ||
		len(s) != base64.RawURLEncoding.EncodedLen(len(b)) {
		return cursor{}, bad
	}
	return cursor{
		reverse: flags&cursorReverse != 0,
		clamped: flags&cursorClamped != 0,
		pinned:  binary.BigEndian.Uint64(body[2:]),
		bounds:  binary.BigEndian.Uint64(body[10:]),
		last:    body[cursorHead:],
	}, nil
}

// boundsHash identifies the key range of a scan. A nil end is no bound, an empty one is a range with nothing in it.
func boundsHash(start, end []byte) uint64 {
	b := binary.BigEndian.AppendUint64(nil, uint64(len(start)))
	b = append(b, start...)
	if end != nil {
		b = append(b, 1)
		b = append(b, end...)
	}
	return xxhash.Sum64(b)
}
