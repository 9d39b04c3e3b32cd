package tier

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// SegmentMetadata is what an object says of the segment in it, for people and for those who find another's copy.
type SegmentMetadata struct {
	FirstSeq, LastSeq uint64
	Entries           uint64
	Root              merkle.Hash
	MetaOffset        int64
	// MinKey and MaxKey bound the segment's keys: the first and the last one as they are when they have at most
	// 256 bytes, else something shorter before the one and behind the other. No MaxKey bounds nothing.
	MinKey, MaxKey []byte
}

const (
	maxBoundBytes = 256

	metaSegment    = "segment"
	metaEntries    = "entries"
	metaRoot       = "root"
	metaMetaOffset = "meta-offset"
	metaMinKey     = "min-key"
	metaMaxKey     = "max-key"
)

// Metadata encodes m.
func (m *SegmentMetadata) Metadata() Metadata {
	out := Metadata{
		metaSegment:    tlog.SegmentID(m.FirstSeq, m.LastSeq),
		metaEntries:    strconv.FormatUint(m.Entries, 10),
		metaRoot:       hex.EncodeToString(m.Root[:]),
		metaMetaOffset: strconv.FormatInt(m.MetaOffset, 10),
	}
	if low := m.MinKey[:min(len(m.MinKey), maxBoundBytes)]; len(low) > 0 {
		out[metaMinKey] = base64.RawURLEncoding.EncodeToString(low)
	}
	if high := shortBound(m.MaxKey); len(high) > 0 {
		out[metaMaxKey] = base64.RawURLEncoding.EncodeToString(high)
	}
	return out
}

// shortBound returns key, or something of at most maxBoundBytes that sorts behind it; nil when there is none.
func shortBound(key []byte) []byte {
	if len(key) <= maxBoundBytes {
		return key
	}
	b := bytes.TrimRight(key[:maxBoundBytes], "\xff")
	if len(b) == 0 {
		return nil
	}
	b = bytes.Clone(b)
	b[len(b)-1]++
	return b
}

// ParseSegmentMetadata reads what Metadata writes; other names in it are passed over. Anything else is ErrInvalid.
func ParseSegmentMetadata(in Metadata) (SegmentMetadata, error) {
	var m SegmentMetadata
	var errs [6]error
	m.FirstSeq, m.LastSeq, errs[0] = tlog.ParseSegmentID(in[metaSegment])
	m.Entries, errs[1] = strconv.ParseUint(in[metaEntries], 10, 64)
	var offset uint64
	offset, errs[2] = strconv.ParseUint(in[metaMetaOffset], 10, 63)
	m.MetaOffset = int64(offset)
	root, err := hex.DecodeString(in[metaRoot])
	if errs[3] = err; err == nil && copy(m.Root[:], root) != len(root) || len(root) != len(m.Root) {
		errs[3] = fmt.Errorf("root of %d bytes", len(root))
	}
	m.MinKey, errs[4] = parseBound(in[metaMinKey])
	m.MaxKey, errs[5] = parseBound(in[metaMaxKey])
	for _, err := range errs {
		if err != nil {
			return SegmentMetadata{}, fmt.Errorf("%w: metadata of no segment: %v", ErrInvalid, err)
		}
	}
	return m, nil
}

func parseBound(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) > maxBoundBytes {
		return nil, fmt.Errorf("a bound of keys in %d characters", len(s))
	}
	if len(b) == 0 {
		return nil, nil
	}
	return b, nil
}
