package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/merkle"
)

// Condition must hold of a key for a write to be done. The zero value always holds.
type Condition struct {
	kind conditionKind
	seq  uint64
}

type conditionKind uint8

const (
	always conditionKind = iota
	ifSeq
	ifAbsent
)

// IfSeq holds when the key is live and its newest version has this seq.
func IfSeq(seq uint64) Condition { return Condition{ifSeq, seq} }

// IfAbsent holds when the key has no live version.
func IfAbsent() Condition { return Condition{kind: ifAbsent} }

func (c Condition) addTo(header map[string]string) {
	switch c.kind {
	case ifSeq:
		header["If-Match"] = `"` + strconv.FormatUint(c.seq, 10) + `"`
	case ifAbsent:
		header["If-None-Match"] = "*"
	}
}

// PutOptions are what a Put has beside key and value.
type PutOptions struct {
	ContentType    string // at most 255 bytes, stored with the version
	If             Condition
	IdempotencyKey string // 1 to 64 bytes; empty makes a random one
}

// DeleteOptions are what a Delete has beside the key.
type DeleteOptions struct {
	If             Condition
	IdempotencyKey string // as in PutOptions
}

// Receipt says what a write appended.
type Receipt struct {
	Seq      uint64
	Time     time.Time
	LeafHash merkle.Hash
	Size     uint64 // bytes of the value
}

// Put appends a version of a key and returns once it is durable. Errors: *Error, *OutcomeUnknownError.
func (c *Client) Put(ctx context.Context, key string, value []byte, o PutOptions) (Receipt, error) {
	header := make(map[string]string)
	if o.ContentType != "" {
		header["Content-Type"] = o.ContentType
	}
	o.If.addTo(header)
	if value == nil {
		value = []byte{}
	}
	return c.write(ctx, &call{method: http.MethodPut, target: keyPath("/v1/kv/", key), header: header, body: value,
		key: c.keyOr(o.IdempotencyKey)})
}

// Delete appends a tombstone. A key without a live version is an *Error with CodeKeyNotFound, and nothing is appended.
// Errors otherwise as for Put.
func (c *Client) Delete(ctx context.Context, key string, o DeleteOptions) (Receipt, error) {
	header := make(map[string]string)
	o.If.addTo(header)
	return c.write(ctx, &call{method: http.MethodDelete, target: keyPath("/v1/kv/", key), header: header,
		key: c.keyOr(o.IdempotencyKey)})
}

func (c *Client) keyOr(given string) string {
	if given != "" {
		return given
	}
	return c.opts.NewKey()
}

func (c *Client) write(ctx context.Context, r *call) (Receipt, error) {
	r.limit = 1 << 20
	a, err := c.do(ctx, r)
	if err != nil {
		return Receipt{}, err
	}
	var w struct {
		Seq      *uint64 `json:"seq"`
		Time     string  `json:"time"`
		LeafHash string  `json:"leaf_hash"`
		Size     uint64  `json:"size"`
	}
	if err := json.Unmarshal(a.body, &w); err != nil || w.Seq == nil {
		return Receipt{}, &ProtocolError{Path: r.target, Problem: "the receipt cannot be read"}
	}
	out := Receipt{Seq: *w.Seq, Size: w.Size}
	if out.Time, err = parseTime(w.Time); err != nil {
		return Receipt{}, &ProtocolError{Path: r.target, Problem: "the receipt has no time"}
	}
	if out.LeafHash, err = merkle.ParseHash(w.LeafHash); err != nil {
		return Receipt{}, &ProtocolError{Path: r.target, Problem: "the receipt has no leaf hash"}
	}
	return out, nil
}

// GetOptions say which version is read, and how fresh the answer must be.
type GetOptions struct {
	Version Selector
	Consistency
}

// Value is one version of a key.
type Value struct {
	Data        []byte
	Seq         uint64
	Time        time.Time
	ContentType string
}

// Get reads a version of a key. A key that has none is an *Error with CodeKeyNotFound or CodeVersionNotFound. A value
// that does not hash to the digest sent with it is a *ProtocolError.
func (c *Client) Get(ctx context.Context, key string, o GetOptions) (*Value, error) {
	var q query
	o.Version.addTo(&q)
	o.Consistency.addTo(&q)
	target := keyPath("/v1/kv/", key) + q.String()
	a, err := c.do(ctx, &call{method: http.MethodGet, target: target})
	if err != nil {
		return nil, err
	}
	v := &Value{Data: a.body, ContentType: a.header.Get("Content-Type")}
	if v.Seq, err = strconv.ParseUint(a.header.Get("X-Scribe-Seq"), 10, 64); err != nil {
		return nil, &ProtocolError{Path: target, Problem: "there is no X-Scribe-Seq"}
	}
	if v.Time, err = parseTime(a.header.Get("X-Scribe-Time")); err != nil {
		return nil, &ProtocolError{Path: target, Problem: "there is no X-Scribe-Time"}
	}
	if digest := a.header.Get("Repr-Digest"); digest != "" {
		if err := checkDigest(digest, a.body); err != nil {
			return nil, &ProtocolError{Path: target, Problem: err.Error()}
		}
	}
	return v, nil
}

// checkDigest checks body against the sha-256 member of a Repr-Digest (RFC 9530 §3), if it has one.
func checkDigest(digest string, body []byte) error {
	for member := range strings.SplitSeq(digest, ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(member), "sha-256=:")
		if !ok {
			continue
		}
		sum := sha256.Sum256(body)
		if want := base64.StdEncoding.EncodeToString(sum[:]) + ":"; text != want {
			return fmt.Errorf("the value does not have the digest sent with it: sha-256=:%s, not %s", want, digest)
		}
	}
	return nil
}
