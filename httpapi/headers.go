package httpapi

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/merkle"
)

// headers collects response headers so that all of them together cost two allocations: one string that holds every
// value, and one slice that the values of the header map are cut from. Keys are in canonical form.
//
// The map outlives the call, since net/http may write it after the handler returned; so nothing in it may point into
// scratch space.
type headers struct {
	buf  []byte // the values, one behind the other
	list []headerEnd
}

type headerEnd struct {
	key string
	end int // of the value in buf
}

func (h *headers) reset() {
	h.buf, h.list = h.buf[:0], h.list[:0]
}

// end names the value that was appended to buf since the last call.
func (h *headers) end(key string) {
	h.list = append(h.list, headerEnd{key: key, end: len(h.buf)})
}

func (h *headers) add(key, value string) {
	h.buf = append(h.buf, value...)
	h.end(key)
}

func (h *headers) set(key string, value []byte) {
	h.buf = append(h.buf, value...)
	h.end(key)
}

func (h *headers) addUint(key string, n uint64) {
	h.buf = strconv.AppendUint(h.buf, n, 10)
	h.end(key)
}

func (h *headers) addETag(seq uint64) {
	h.buf = append(h.buf, '"')
	h.buf = strconv.AppendUint(h.buf, seq, 10)
	h.buf = append(h.buf, '"')
	h.end("Etag")
}

func (h *headers) addTime(key string, micros int64) {
	h.buf = appendTime(h.buf, micros)
	h.end(key)
}

// addDate appends an HTTP date (RFC 9110 §5.6.7), which is in whole seconds.
func (h *headers) addDate(key string, micros int64) {
	h.buf = appendDate(h.buf, time.UnixMicro(micros).UTC())
	h.end(key)
}

// appendDate is AppendFormat(dst, http.TimeFormat), several times as fast.
func appendDate(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(dst, t.Weekday().String()[:3]...)
	dst = append(dst, ',', ' ')
	dst = appendTwo(dst, day, ' ')
	dst = append(dst, month.String()[:3]...)
	dst = append(dst, ' ')
	dst = appendTwo(dst, year/100, byte('0'+year/10%10))
	dst = append(dst, byte('0'+year%10), ' ')
	dst = appendTwo(dst, hour, ':')
	dst = appendTwo(dst, minute, ':')
	dst = appendTwo(dst, second, ' ')
	return append(dst, "GMT"...)
}

// appendTwo appends two digits and what follows them.
func appendTwo(dst []byte, n int, then byte) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10), then)
}

// addDigest appends a structured field with the SHA-256 of the representation (RFC 9530 §3).
func (h *headers) addDigest(sum merkle.Hash) {
	h.buf = append(h.buf, "sha-256=:"...)
	h.buf = base64.StdEncoding.AppendEncode(h.buf, sum[:])
	h.buf = append(h.buf, ':')
	h.end("Repr-Digest")
}

// addContentRange says which bytes of how many are sent (RFC 9110 §14.4).
func (h *headers) addContentRange(part byteRange, size uint64) {
	h.buf = append(h.buf, "bytes "...)
	h.buf = strconv.AppendInt(h.buf, int64(part.from), 10)
	h.buf = append(h.buf, '-')
	h.buf = strconv.AppendInt(h.buf, int64(part.from+part.length-1), 10)
	h.buf = append(h.buf, '/')
	h.buf = strconv.AppendUint(h.buf, size, 10)
	h.end("Content-Range")
}

// moveTo puts the headers into dst and forgets them.
func (h *headers) moveTo(dst http.Header) {
	text := string(h.buf)
	values := make([]string, len(h.list))
	from := 0
	for i, l := range h.list {
		values[i] = text[from:l.end]
		dst[l.key] = values[i : i+1 : i+1]
		from = l.end
	}
	h.reset()
}

// fixedHeaders are the values that never change. Every response's header map shares the slices; nothing writes to them.
type fixedHeaders struct {
	nosniff []string // X-Content-Type-Options
	sandbox []string // Content-Security-Policy of stored values
	noCache []string // Cache-Control of stored values
	ranges  []string // Accept-Ranges
}

func newFixedHeaders() fixedHeaders {
	return fixedHeaders{
		nosniff: []string{"nosniff"},
		sandbox: []string{"sandbox"},
		noCache: []string{"no-cache"},
		ranges:  []string{"bytes"},
	}
}

// maxRequestID is the longest request id that is taken from a client.
const maxRequestID = 128

// requestIDs makes ids that are unique over processes by a random prefix and within one by a counter.
type requestIDs struct {
	prefix string
	last   *atomic.Uint64
}

func newRequestIDs() requestIDs {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	return requestIDs{prefix: hex.EncodeToString(b[:]) + "-", last: new(atomic.Uint64)}
}

// appendFor appends the client's id, when it is printable ASCII of fitting length, or a new one.
func (ids *requestIDs) appendFor(dst []byte, r *http.Request) []byte {
	if v := r.Header["X-Request-Id"]; len(v) == 1 && printable(v[0]) {
		return append(dst, v[0]...)
	}
	dst = append(dst, ids.prefix...)
	return strconv.AppendUint(dst, ids.last.Add(1), 16)
}

func printable(s string) bool {
	if len(s) == 0 || len(s) > maxRequestID {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
