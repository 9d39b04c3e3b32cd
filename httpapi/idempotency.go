package httpapi

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net/http"
	"strconv"

	"github.com/scribe-ledger/scribe/ledger"
)

// idempotencyKey returns the request's Idempotency-Key; "" when it has none.
func idempotencyKey(h http.Header) (string, error) {
	v := h["Idempotency-Key"]
	switch {
	case len(v) == 0:
		return "", nil
	case len(v) > 1:
		return "", badRequest("the Idempotency-Key stands twice")
	case len(v[0]) == 0 || len(v[0]) > ledger.MaxIdempotencyBytes:
		return "", badRequest("an Idempotency-Key has 1 to " + strconv.Itoa(ledger.MaxIdempotencyBytes) + " bytes")
	}
	return v[0], nil
}

// identify gives a command with an idempotency key the hash of the request: method, route's key, body, content type
// and preconditions, all as sent. Each part goes in behind its length, so no two requests run together.
func (c *call) identify(cmd *ledger.Command, key, body []byte) {
	if cmd.IdempotencyKey == "" {
		return
	}
	h := sha256.New()
	hashPart(h, []byte(c.r.Method))
	hashPart(h, key)
	hashPart(h, body)
	for _, name := range []string{"Content-Type", "If-Match", "If-None-Match"} {
		lines := c.r.Header[name]
		hashLength(h, len(lines))
		for _, line := range lines {
			hashPart(h, []byte(line))
		}
	}
	h.Sum(cmd.RequestHash[:0])
}

func hashPart(h hash.Hash, b []byte) {
	hashLength(h, len(b))
	h.Write(b)
}

func hashLength(h hash.Hash, n int) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}
