package tier

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// trailer is what a Dir keeps of an object behind its bytes, so that both become visible by one link. It has a fixed
// size: an object is its file but the last 4,096 bytes. All numbers are little-endian.
//
//	   0   8  magic "scribobj"
//	   8   2  version, 1
//	  10   2  names of metadata, at most 16
//	  12   4  zero
//	  16   8  size of the object
//	  24   8  modified, microseconds since 1970
//	  32  32  SHA-256 of the object
//	  64   .  metadata in order of names: length of name (1), length of value (2), name, value
//	   .   .  zeros
//	4088   8  xxhash64 of the 4,088 bytes before
type trailer struct {
	size     int64
	modified time.Time
	sha256   [sha256.Size]byte
	metadata Metadata
}

const (
	trailerBytes   = 4096
	trailerMagic   = "scribobj"
	trailerVersion = 1
	trailerHead    = 64
)

// errNoTrailer: the bytes are no trailer at all, so the file was not written by a Dir.
var errNoTrailer = errors.New("no trailer")

// encode returns the trailerBytes of t, whose metadata passed its Check.
func (t trailer) encode() []byte {
	b := make([]byte, trailerHead, trailerBytes)
	copy(b, trailerMagic)
	binary.LittleEndian.PutUint16(b[8:], trailerVersion)
	binary.LittleEndian.PutUint16(b[10:], uint16(len(t.metadata)))
	binary.LittleEndian.PutUint64(b[16:], uint64(t.size))
	binary.LittleEndian.PutUint64(b[24:], uint64(t.modified.UnixMicro()))
	copy(b[32:], t.sha256[:])
	for _, name := range slices.Sorted(maps.Keys(t.metadata)) {
		value := t.metadata[name]
		b = append(b, byte(len(name)))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
		b = append(append(b, name...), value...)
	}
	return seal(b[:trailerBytes]) // maxMetaBytes and the lengths leave room; make cleared the rest
}

// seal writes the checksum of a trailer.
func seal(b []byte) []byte {
	binary.LittleEndian.PutUint64(b[trailerBytes-8:], xxhash.Sum64(b[:trailerBytes-8]))
	return b
}

// decodeTrailer reads what encode wrote, and nothing else: errNoTrailer when the magic is not there.
func decodeTrailer(b []byte) (trailer, error) {
	if len(b) != trailerBytes || string(b[:8]) != trailerMagic {
		return trailer{}, errNoTrailer
	}
	if got, want := xxhash.Sum64(b[:trailerBytes-8]), binary.LittleEndian.Uint64(b[trailerBytes-8:]); got != want {
		return trailer{}, fmt.Errorf("the trailer has checksum %016x, its bytes give %016x", want, got)
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != trailerVersion {
		return trailer{}, fmt.Errorf("the trailer has version %d, this program knows %d", v, trailerVersion)
	}
	t := trailer{
		size:     int64(binary.LittleEndian.Uint64(b[16:])),
		modified: time.UnixMicro(int64(binary.LittleEndian.Uint64(b[24:]))),
		sha256:   [sha256.Size]byte(b[32:64]),
	}
	count, rest := int(binary.LittleEndian.Uint16(b[10:])), b[trailerHead:trailerBytes-8]
	if count > maxMetaNames {
		return trailer{}, fmt.Errorf("the trailer has %d names of metadata, at most %d are written", count, maxMetaNames)
	}
	for range count {
		if len(rest) < 3 {
			return trailer{}, errors.New("the trailer's metadata is cut off")
		}
		n, v := int(rest[0]), int(binary.LittleEndian.Uint16(rest[1:]))
		if rest = rest[3:]; len(rest) < n+v {
			return trailer{}, errors.New("the trailer's metadata is cut off")
		}
		if t.metadata == nil {
			t.metadata = Metadata{}
		}
		t.metadata[string(rest[:n])] = string(rest[n : n+v])
		rest = rest[n+v:]
	}
	if err := t.metadata.Check(); err != nil {
		return trailer{}, fmt.Errorf("the trailer's metadata: %w", err)
	}
	if t.size < 0 || !bytes.Equal(t.encode(), b) {
		return trailer{}, errors.New("the trailer is not as it would be written")
	}
	return t, nil
}
