package httpapi

import (
	"encoding/binary"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
)

// decodeBatchBinary reads application/x-scribe-batch, operations one behind the other to the end of the body:
//
//	op u8 (1 put, 2 delete) · uvarint key length · key · uvarint value length · value
//
// The value of a delete has length 0. Lengths are in the shortest form, so a list of operations has one encoding. Keys
// and values are slices of body.
func decodeBatchBinary(body []byte, limits batchLimits) ([]ledger.WriteOp, error) {
	ops := make([]ledger.WriteOp, 0, countBinary(body, limits.ops))
	for i := 0; len(body) > 0; i++ {
		op := ledger.WriteOp{Op: tlog.Op(body[0])}
		if op.Op != tlog.OpPut && op.Op != tlog.OpDelete {
			return nil, badRequest("the op is 1 for a put or 2 for a delete").atOp(i)
		}
		body = body[1:]
		var ok bool
		if op.Key, body, ok = cutSized(body); !ok {
			return nil, badRequest("the key is cut short or its length is malformed").atOp(i)
		}
		if op.Value, body, ok = cutSized(body); !ok {
			return nil, badRequest("the value is cut short or its length is malformed").atOp(i)
		}
		if op.Op == tlog.OpDelete && len(op.Value) > 0 {
			return nil, badRequest("a delete has no value").atOp(i)
		}
		if err := limits.check(&op, i); err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	if len(ops) == 0 {
		return nil, emptyBatch()
	}
	return ops, nil
}

// countBinary returns how many operations body seems to hold, so that the list of them is made once. What is malformed
// ends the count; more than a batch may hold are not counted.
func countBinary(body []byte, most int) int {
	n := 0
	for ok := true; ok && len(body) > 1 && n < most; n++ {
		if _, body, ok = cutSized(body[1:]); ok {
			_, body, ok = cutSized(body)
		}
	}
	return n
}

// cutSized cuts a length and as many bytes off the front of b.
func cutSized(b []byte) (piece, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || w > 1 && b[w-1] == 0 || n > uint64(len(b)-w) {
		return nil, nil, false
	}
	end := w + int(n)
	return b[w:end:end], b[end:], true
}
