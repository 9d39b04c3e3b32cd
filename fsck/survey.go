package fsck

import (
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/vfs"
)

// maxHoles bounds the damaged places of one segment that are told one by one.
const maxHoles = 64

// hole is a run of entries, in segment order, that cannot be read for one reason.
type hole struct {
	offset  int64
	reason  string
	entries uint64
	after   []byte // the key before it; nil at the segment's beginning
	before  []byte // the key behind it; nil at its end
}

func (h *hole) lost() string {
	text := fmt.Sprintf("%d entries", h.entries)
	if h.entries == 1 {
		text = "1 entry"
	}
	switch {
	case h.after != nil && h.before != nil:
		return text + fmt.Sprintf(" of the keys from %.64q to %.64q", h.after, h.before)
	case h.after != nil:
		return text + fmt.Sprintf(" of the keys from %.64q on", h.after)
	case h.before != nil:
		return text + fmt.Sprintf(" of the keys up to %.64q", h.before)
	}
	return text
}

// survey reads a segment's entries one after the other, and passes over those that it cannot. It looks at bytes and
// their checksums only.
func survey(t *sstable.Table, entries uint64) []hole {
	var holes []hole
	var last []byte
	for at := uint64(0); at < entries && len(holes) < maxHoles; {
		it := t.ByOrdinal(sstable.ScanOptions{From: at, NoFill: true})
		for it.Next() {
			last = append(last[:0], it.Entry().Key...)
			at++
		}
		var corrupt *vfs.CorruptError
		if !errors.As(it.Err(), &corrupt) {
			return holes // the end, or an error that is not the segment's
		}
		h := hole{offset: corrupt.Offset, reason: corrupt.Reason, after: append([]byte(nil), last...)}
		h.entries, h.before = passOver(t, at, entries, corrupt)
		at += h.entries
		holes = append(holes, h)
	}
	return holes
}

// passOver counts the entries from an ordinal on that fail in one way, and returns the key behind them.
func passOver(t *sstable.Table, from, entries uint64, as *vfs.CorruptError) (n uint64, before []byte) {
	for at := from + 1; at < entries; at++ {
		e, err := t.At(at, false)
		if err == nil {
			return at - from, append([]byte{}, e.Key...)
		}
		var corrupt *vfs.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Offset != as.Offset {
			return at - from, nil
		}
	}
	return entries - from, nil
}
