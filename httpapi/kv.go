package httpapi

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// defaultContentType is what an empty stored content type reads back as.
const defaultContentType = "application/octet-stream"

// getKV answers GET and HEAD of a key.
func (c *call) getKV() error {
	key, err := c.readKey()
	if err != nil {
		return err
	}
	q, err := parseQuery(c.rawQuery())
	if err != nil {
		return err
	}
	sel, err := q.selector()
	if err != nil {
		return err
	}
	if err := c.barrier(&q); err != nil {
		return err
	}
	e, err := c.api.backend.Peek(key, sel)
	if err != nil {
		return err
	}
	h := c.r.Header
	if conditional(h) {
		notModified, err := evaluate(h, e)
		if err != nil {
			return err
		}
		if notModified {
			c.versionHeaders(e)
			c.send(http.StatusNotModified, nil)
			return nil
		}
	}
	size := int(e.ValueSize)
	part := byteRange{length: size}
	// RFC 9110 §14.2: Range is defined for GET alone.
	if field := h["Range"]; len(field) == 1 && c.r.Method == http.MethodGet && rangeApplies(h["If-Range"], e.Seq) {
		var ok bool
		if part, ok = pickRange(field[0], size); !ok {
			return &problem{status: http.StatusRequestedRangeNotSatisfiable, code: codeRange, size: size,
				detail: "the value has " + strconv.Itoa(size) + " bytes"}
		}
	}
	return c.sendValue(e, part)
}

// sendValue sends a version's value, or the part of it that was asked for. A large one that Peek left out is never in
// memory as a whole.
func (c *call) sendValue(e *ledger.Entry, part byteRange) error {
	left := e.Value == nil && part.length > 0
	if left && c.r.Method != http.MethodHead {
		return c.stream(e, part)
	}
	if c.r.Method != http.MethodHead && part.length > smallBytes {
		if err := c.hold(int64(part.length)); err != nil {
			return err
		}
	}
	c.begin(c.valueHead(e, part))
	if c.r.Method != http.MethodHead {
		_, _ = c.Write(e.Value[part.from : part.from+part.length])
	}
	return nil
}

// active says that a browser may run what is in a document of this type: HTML, and everything that is XML. Such a value
// is sandboxed, as it must not act with the rights of this origin, where the admin routes are. Other types are shown or
// saved, and nosniff keeps them from being taken for these.
func active(contentType string) bool {
	return containsFold(contentType, "html") || containsFold(contentType, "xml")
}

// containsFold says that s has part in it, in upper or lower case.
func containsFold(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// versionHeaders names the version that is answered.
func (c *call) versionHeaders(e *ledger.Entry) {
	c.head.addETag(e.Seq)
	c.head.addUint("X-Scribe-Seq", e.Seq)
	c.head.addTime("X-Scribe-Time", e.Time)
	c.head.addDate("Last-Modified", e.Time)
	// Without this a cache may guess a lifetime from Last-Modified, and answer reads that we promised to be current.
	c.w.Header()["Cache-Control"] = c.api.fixed.noCache
}

// valueSum is the value's SHA-256, computed where the entry does not carry it. The entry may be shared with other
// readers, so it is not stored there.
func valueSum(e *ledger.Entry) merkle.Hash {
	if e.ValueHash == (merkle.Hash{}) {
		return sha256.Sum256(e.Value)
	}
	return e.ValueHash
}

// single is a command of one operation with its list in one piece.
type single struct {
	cmd ledger.Command
	ops [1]ledger.WriteOp
}

// putKV answers PUT of a key.
func (c *call) putKV() error {
	s, err := c.prepareWrite(tlog.OpPut)
	if err != nil {
		c.unread = c.r.ContentLength != 0
		return err
	}
	op := &s.ops[0]
	op.Value, err = c.readBody(c.api.opt.MaxValueBytes, c.valueTooLarge)
	if err != nil {
		return err
	}
	c.identify(&s.cmd, op.Key, op.Value)
	rc, err := c.write(&s.cmd)
	if err != nil {
		return err
	}
	c.receiptHeaders(&rc)
	c.head.buf = append(c.head.buf, "/v1/kv/"...)
	c.head.buf = appendEscapedKey(c.head.buf, op.Key)
	c.head.buf = append(c.head.buf, "?seq="...)
	c.head.addUint("Location", rc.FirstSeq)
	c.out = appendReceipt(c.out[:0], &rc, op.Key, len(op.Value))
	c.sendJSON(http.StatusCreated, c.out)
	return nil
}

// deleteKV answers DELETE of a key. A body, if there is one, means nothing and is not read.
func (c *call) deleteKV() error {
	s, err := c.prepareWrite(tlog.OpDelete)
	if err != nil {
		return err
	}
	c.identify(&s.cmd, s.ops[0].Key, nil)
	rc, err := c.write(&s.cmd)
	if err != nil {
		return err
	}
	c.receiptHeaders(&rc)
	c.out = appendReceipt(c.out[:0], &rc, s.ops[0].Key, 0)
	c.sendJSON(http.StatusOK, c.out)
	return nil
}

// prepareWrite reads all of a put or delete but its body.
func (c *call) prepareWrite(op tlog.Op) (*single, error) {
	// The key is the command's to keep, so it is not decoded into scratch space.
	most := ledger.MaxKeyBytes
	if op == tlog.OpPut {
		most = c.api.opt.MaxKeyBytes
	}
	key, err := decodeKey(make([]byte, 0, len(c.rawKey)), c.rawKey, most)
	if err != nil {
		return nil, err
	}
	if _, err := parseQuery(c.rawQuery()); err != nil {
		return nil, err
	}
	h := c.r.Header
	if len(h["Content-Range"]) > 0 {
		return nil, badRequest("a value is written as a whole; Content-Range is refused") // RFC 9110 §14.5
	}
	conds, err := c.conditions()
	if err != nil {
		return nil, err
	}
	s := &single{}
	s.ops[0] = ledger.WriteOp{Op: op, Key: key, Conditions: conds}
	s.cmd.Ops = s.ops[:]
	if op == tlog.OpPut {
		s.ops[0].ContentType = h.Get("Content-Type")
		if err := checkContentType(s.ops[0].ContentType); err != nil {
			return nil, err
		}
	}
	s.cmd.IdempotencyKey, err = idempotencyKey(h)
	return s, err
}

// checkContentType takes what can be a header's value and a JSON string: UTF-8 without control characters but tab.
func checkContentType(s string) error {
	if len(s) > ledger.MaxContentTypeBytes {
		return badRequest("a content type has at most 255 bytes")
	}
	if !utf8.ValidString(s) {
		return badRequest("the content type is not UTF-8")
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 && s[i] != '\t' || s[i] == 0x7f {
			return badRequest("the content type has a control character")
		}
	}
	return nil
}

// write hands the command to the node and waits for its commit.
func (c *call) write(cmd *ledger.Command) (ledger.Receipt, error) {
	return c.api.backend.Write(c.unhurried(), cmd)
}

func (c *call) receiptHeaders(rc *ledger.Receipt) {
	c.head.addETag(rc.FirstSeq)
	c.head.addUint("X-Scribe-Seq", rc.FirstSeq)
}

func (c *call) valueTooLarge() *problem {
	return &problem{status: http.StatusRequestEntityTooLarge, code: codeValueTooLarge,
		detail: "a value has at most " + strconv.Itoa(c.api.opt.MaxValueBytes) + " bytes"}
}
