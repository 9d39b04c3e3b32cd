package httpapi

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
)

// Hand-written JSON for what is answered often: receipts, problems and entries. Cold routes use encoding/json.

// appendString appends s, which must be UTF-8, as a JSON string.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped appends s as it stands between the quotes. Only what JSON demands is escaped (RFC 8259 §7), byte by
// byte, so a long string may be cut anywhere and appended in pieces.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	from := 0
	for i := 0; i < len(s); i++ {
		b := s[i]
		if b >= 0x20 && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', "0123456789abcdef"[b>>4], "0123456789abcdef"[b&15])
		}
	}
	return append(dst, s[from:]...)
}

// appendBytesField appends "name":"…" when b is UTF-8, and "name_b64":"…" when it is not.
func appendBytesField(dst []byte, name string, b []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	if utf8.Valid(b) {
		dst = append(dst, `":`...)
		return appendString(dst, b)
	}
	dst = append(dst, `_b64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

func appendHash(dst []byte, h merkle.Hash) []byte {
	dst = append(dst, '"')
	dst = hex.AppendEncode(dst, h[:])
	return append(dst, '"')
}

func appendHashes(dst []byte, hashes []merkle.Hash) []byte {
	dst = append(dst, '[')
	for i, h := range hashes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendHash(dst, h)
	}
	return append(dst, ']')
}

// appendTime appends an entry's time: RFC 3339 in UTC with six digits, without quotes.
func appendTime(dst []byte, micros int64) []byte {
	t := time.UnixMicro(micros).UTC()
	dst = t.AppendFormat(dst, time.RFC3339) // package time writes this layout much faster than one with a fraction
	dst[len(dst)-1] = '.'
	fraction := t.Nanosecond() / 1000
	for unit := 100_000; unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+fraction/unit%10))
	}
	return append(dst, 'Z')
}

// appendReceipt appends the receipt of one put or delete.
func appendReceipt(dst []byte, rc *ledger.Receipt, key []byte, size int) []byte {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, rc.FirstSeq, 10)
	dst = append(dst, `,"time":"`...)
	dst = appendTime(dst, rc.Time)
	dst = append(dst, `","leaf_hash":`...)
	dst = appendHash(dst, rc.LeafHash)
	dst = append(dst, ',')
	dst = appendBytesField(dst, "key", key)
	dst = append(dst, `,"size":`...)
	dst = strconv.AppendInt(dst, int64(size), 10)
	return append(dst, "}\n"...)
}

// appendEntryHead appends an entry up to its value: {"seq":…,"time":…,"op":…,"key":…
func appendEntryHead(dst []byte, e *ledger.Entry) []byte {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	dst = append(dst, `,"time":"`...)
	dst = appendTime(dst, e.Time)
	dst = append(dst, `","op":"`...)
	dst = append(dst, e.Op.String()...)
	dst = append(dst, `",`...)
	return appendBytesField(dst, "key", e.Key)
}

// appendEntryTail appends what follows the value, and closes the entry. The content type stands in the record that the
// leaf hash is of; it is UTF-8, or it would not have been taken.
func appendEntryTail(dst []byte, e *ledger.Entry) []byte {
	dst = append(dst, `,"size":`...)
	dst = strconv.AppendUint(dst, e.ValueSize, 10)
	if e.ContentType != "" {
		dst = append(dst, `,"content_type":`...)
		dst = appendString(dst, e.ContentType)
	}
	if e.Principal != "" {
		dst = append(dst, `,"principal":`...)
		dst = appendString(dst, e.Principal)
	}
	dst = append(dst, `,"leaf_hash":`...)
	dst = appendHash(dst, e.Leaf)
	return append(dst, '}')
}
