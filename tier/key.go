package tier

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of keys. With a prefix of 256 bytes before it a key stays within the 1,024 that S3 allows.
const (
	MaxKeyBytes     = 512
	maxElementBytes = 200 // of a key between slashes: it is a file name in some stores
)

// CheckKey says whether key may name an object: elements of letters, digits and "!_.=+@,~-" with single slashes between
// them, none of which begins with a dot. So a key is the same in a URL, in XML, in a path and in a log, and leads out of
// no folder. Stores that keep files hold a directory for every element but the last: where one key is, or once was, a
// directory of another ("a" and "a/b") they may refuse the second.
func CheckKey(key string) error {
	if len(key) == 0 || len(key) > MaxKeyBytes {
		return fmt.Errorf("%w: a key of %d bytes, it has 1 to %d", ErrInvalid, len(key), MaxKeyBytes)
	}
	for element := range strings.SplitSeq(key, "/") {
		if len(element) == 0 || len(element) > maxElementBytes || element[0] == '.' {
			return fmt.Errorf("%w: key %.80q has an element that is empty, begins with a dot or is over %d bytes",
				ErrInvalid, key, maxElementBytes)
		}
	}
	return checkChars(key)
}

// CheckPrefix says whether prefix may begin a key; the empty one may.
func CheckPrefix(prefix string) error {
	if len(prefix) > MaxKeyBytes || strings.HasPrefix(prefix, "/") || strings.Contains(prefix, "//") ||
		strings.HasPrefix(prefix, ".") || strings.Contains(prefix, "/.") {
		return fmt.Errorf("%w: prefix %.80q begins no key", ErrInvalid, prefix)
	}
	return checkChars(prefix)
}

func checkChars(s string) error {
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && strings.IndexByte("!_.=+@,~-/", c) < 0 {
			return fmt.Errorf("%w: %.80q has the byte %q, which keys do not have", ErrInvalid, s, c)
		}
	}
	return nil
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// Metadata is what a caller keeps with an object: at most 16 names of small letters, digits and dashes, 1 to 40 bytes
// each, with values of at most 512 bytes of printable ASCII that neither begin nor end with a space, 1,536 bytes
// altogether. S3 allows 2,048, and the names that begin with "scribe-" are the stores' own.
type Metadata map[string]string

// Bounds of metadata; see Metadata.
const (
	maxMetaNames      = 16
	maxMetaNameBytes  = 40
	maxMetaValueBytes = 512
	maxMetaBytes      = 1536
	// ReservedMetadata begins the names that stores keep for themselves.
	ReservedMetadata = "scribe-"
)

// Check says whether m keeps its bounds.
func (m Metadata) Check() error {
	if len(m) > maxMetaNames {
		return fmt.Errorf("%w: %d names of metadata, at most %d are kept", ErrInvalid, len(m), maxMetaNames)
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(m)) {
		value := m[name]
		total += len(name) + len(value)
		if !isMetaName(name) {
			return fmt.Errorf("%w: metadata cannot be named %.80q", ErrInvalid, name)
		}
		if !isMetaValue(value) {
			return fmt.Errorf("%w: metadata %s cannot be %.80q", ErrInvalid, name, value)
		}
	}
	if total > maxMetaBytes {
		return fmt.Errorf("%w: %d bytes of metadata, at most %d are kept", ErrInvalid, total, maxMetaBytes)
	}
	return nil
}

func isMetaName(name string) bool {
	if len(name) == 0 || len(name) > maxMetaNameBytes || strings.HasPrefix(name, ReservedMetadata) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c != '-' && (!isAlnum(c) || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return name[0] != '-' && name[len(name)-1] != '-'
}

func isMetaValue(value string) bool {
	if len(value) > maxMetaValueBytes || strings.TrimSpace(value) != value {
		return false
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
