package manifest

import (
	"encoding/binary"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
)

// Object names the verified copy of a segment's file in the object store. The zero Object stands for none. It is of one
// member's file: those of others may differ from it in bytes, never in the root.
type Object struct {
	Name       string      // below the store's prefix
	Bytes      uint64      // of the whole object
	SHA256     merkle.Hash // of the whole object
	MetaOffset uint64      // where the segment's meta tail begins, which ends with the object
}

// Exists says whether o names an object.
func (o *Object) Exists() bool { return o.Name != "" }

// Validate reports the first rule that o breaks.
func (o *Object) Validate() error {
	switch {
	case !o.Exists() && *o != Object{}:
		return fmt.Errorf("manifest: an object of %d bytes without a name", o.Bytes)
	case len(o.Name) > MaxObjectNameBytes:
		return fmt.Errorf("manifest: an object name of %d bytes, %d at most", len(o.Name), MaxObjectNameBytes)
	case o.Exists() && (o.MetaOffset >= o.Bytes || o.Bytes > MaxObjectBytes):
		return fmt.Errorf("manifest: object %.80q of %d bytes with its meta tail at %d", o.Name, o.Bytes, o.MetaOffset)
	}
	return nil
}

// append encodes o: its name, empty for none, and for one that exists the rest.
func (o *Object) append(dst []byte) []byte {
	dst = appendBytes(dst, o.Name)
	if !o.Exists() {
		return dst
	}
	dst = binary.LittleEndian.AppendUint64(dst, o.Bytes)
	dst = append(dst, o.SHA256[:]...)
	return binary.LittleEndian.AppendUint64(dst, o.MetaOffset)
}

func (d *decoder) object() (o Object) {
	if o.Name = d.string(); !o.Exists() {
		return Object{}
	}
	o.Bytes = d.u64()
	copy(o.SHA256[:], d.take(merkle.HashSize))
	o.MetaOffset = d.u64()
	return o
}
