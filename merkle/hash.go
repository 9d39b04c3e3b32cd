package merkle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// HashSize is the length of a Hash in bytes.
const HashSize = sha256.Size

// Hash is one SHA-256 value: a leaf hash, an interior node or a root.
type Hash [HashSize]byte

// String is the lower-case hexadecimal form, as it stands in JSON.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads the form that String writes.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*HashSize {
		return h, fmt.Errorf("merkle: a hash has %d hex digits, not %d", 2*HashSize, len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return h, fmt.Errorf("merkle: %w", err)
	}
	return h, nil
}
