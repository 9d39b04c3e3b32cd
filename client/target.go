package client

import (
	"encoding/base64"
	"errors"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// keyPath is prefix followed by the key, percent-encoded. Slashes of the key stand raw where they look like a clean
// path; in a key like a//b or ../c every slash and dot is encoded, as some proxies would clean it to another key.
func keyPath(prefix, key string) string {
	plain := "/"
	if path.Clean("/"+key) != "/"+key {
		plain = ""
	}
	return prefix + escape(key, plain, plain == "")
}

// escape percent-encodes all but the unreserved bytes of RFC 3986 §2.3 and those in plain, and dots on request.
func escape(s, plain string, dots bool) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '~',
			c == '.' && !dots, strings.IndexByte(plain, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// query builds a query string. In it a plus is a plus (not a blank), so url.Values would not do.
type query struct{ b strings.Builder }

func (q *query) add(name, text string) {
	if q.b.Len() == 0 {
		q.b.WriteByte('?')
	} else {
		q.b.WriteByte('&')
	}
	q.b.WriteString(name + "=" + escape(text, "", false))
}

func (q *query) addUint(name string, n uint64) { q.add(name, strconv.FormatUint(n, 10)) }

func (q *query) addFlag(name string, set bool) {
	if set {
		q.add(name, "1")
	}
}

func (q *query) String() string { return q.b.String() }

// Selector picks a version of a key. The zero value picks the newest.
type Selector struct{ name, text string }

// AtSeq picks exactly the version with this seq.
func AtSeq(seq uint64) Selector { return Selector{"seq", strconv.FormatUint(seq, 10)} }

// AsOfSeq picks the newest version at or before this seq.
func AsOfSeq(seq uint64) Selector { return Selector{"as_of_seq", strconv.FormatUint(seq, 10)} }

// AsOfTime picks the newest version at or before this moment.
func AsOfTime(t time.Time) Selector {
	return Selector{"as_of_time", t.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")}
}

func (s Selector) addTo(q *query) {
	if s.name != "" {
		q.add(s.name, s.text)
	}
}

// Consistency says how fresh a read must be.
type Consistency struct {
	// Stale reads the answering node's applied state, whatever the others have. The default is linearizable.
	Stale bool
	// MaxStaleness bounds how far behind that state may be; 0 does not.
	MaxStaleness time.Duration
}

func (s Consistency) addTo(q *query) {
	if !s.Stale {
		return
	}
	q.add("consistency", "stale")
	if s.MaxStaleness > 0 {
		q.add("max_staleness", s.MaxStaleness.String())
	}
}

// The two forms of bytes in JSON: text where it is valid UTF-8, base64 under the name with _b64 otherwise.

func splitBytes(s string) (text, b64 *string) {
	if utf8.ValidString(s) {
		return &s, nil
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(s))
	return nil, &encoded
}

var errBothForms = errors.New("both the text and the base64 form are given")

func joinBytes(text, b64 *string) (s string, ok bool, err error) {
	switch {
	case text != nil && b64 != nil:
		return "", false, errBothForms
	case text != nil:
		return *text, true, nil
	case b64 != nil:
		b, err := decodeBase64(*b64)
		return string(b), err == nil, err
	}
	return "", false, nil
}

// decodeBase64 accepts the one canonical encoding of RFC 4648 §4: padded, no line breaks, no stray bits.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") { // which the decoder would skip
		return nil, errors.New("line break in base64")
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// timeLayout is how the contract writes times.
const timeLayout = "2006-01-02T15:04:05.000000Z"

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err == nil && t.Nanosecond()%1000 != 0 {
		err = errors.New("a time of the ledger has whole microseconds")
	}
	return t.UTC(), err
}
