package httpapi

import (
	"bytes"
	"encoding/base64"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
)

// decodeBatchJSON reads {"ops":[{"op":"put","key":"a","value":"b",…},…]}. It is stricter than encoding/json, which
// would take names in any case, let a repeated name win silently and turn bytes that are no UTF-8 into U+FFFD: here
// each of these is refused, because a key or a precondition must not be guessed.
//
// Strings without escapes are slices of body, and those with escapes are decoded in place, so body is used up and the
// operations keep it. Only base64 takes new space, less than it fills in the body.
func decodeBatchJSON(body []byte, limits batchLimits) ([]ledger.WriteOp, error) {
	s := &jsonScanner{b: body}
	// An operation has a brace, and a brace in a string only makes the list larger than it need be.
	ops := make([]ledger.WriteOp, 0, min(bytes.Count(body, []byte{'{'}), ledger.MaxBatchOps))
	seen := false
	err := s.object(func(name []byte) error {
		if string(name) != "ops" {
			return s.unknown(name)
		}
		if seen {
			return s.errorf(`the name "ops" stands twice`)
		}
		seen = true
		return s.array(func(i int) error {
			op, err := decodeOp(s)
			if err == nil {
				err = limits.check(&op, i)
			}
			if err != nil {
				return opProblem(err, i)
			}
			ops = append(ops, op)
			return nil
		})
	})
	switch {
	case err != nil:
		return nil, err
	case !s.atEnd():
		return nil, s.errorf("there is something behind the batch")
	case len(ops) == 0:
		return nil, emptyBatch()
	}
	return ops, nil
}

// The fields of an operation, as bits of what was seen.
const (
	fieldOp = 1 << iota
	fieldKey
	fieldKeyB64
	fieldValue
	fieldValueB64
	fieldContentType
	fieldIfMatch
	fieldIfNoneMatch
)

func opField(name []byte) int {
	switch string(name) {
	case "op":
		return fieldOp
	case "key":
		return fieldKey
	case "key_b64":
		return fieldKeyB64
	case "value":
		return fieldValue
	case "value_b64":
		return fieldValueB64
	case "content_type":
		return fieldContentType
	case "if_match":
		return fieldIfMatch
	case "if_none_match":
		return fieldIfNoneMatch
	}
	return 0
}

// decodeOp reads one operation. A field that is null is as if it were left out.
func decodeOp(s *jsonScanner) (ledger.WriteOp, error) {
	var op ledger.WriteOp
	var ifMatch uint64
	seen, set := 0, 0
	err := s.object(func(name []byte) error {
		field := opField(name)
		if field == 0 {
			return s.unknown(name)
		}
		if seen&field != 0 {
			return s.errorf("the name %q stands twice", name)
		}
		seen |= field
		if s.null() {
			return nil
		}
		set |= field
		if field == fieldIfMatch {
			var err error
			ifMatch, err = s.number("a seq")
			return err
		}
		return decodeText(s, &op, field)
	})
	if err != nil {
		return op, err
	}
	const values = fieldValue | fieldValueB64
	switch {
	case op.Op == 0:
		err = s.errorf(`an operation has an "op"`)
	case set&(fieldKey|fieldKeyB64) == 0 || set&(fieldKey|fieldKeyB64) == fieldKey|fieldKeyB64:
		err = s.errorf(`an operation has either "key" or "key_b64"`)
	case op.Op == tlog.OpPut && (set&values == 0 || set&values == values):
		err = s.errorf(`a put has either "value" or "value_b64"`)
	case op.Op == tlog.OpDelete && set&(values|fieldContentType) != 0:
		err = s.errorf("a delete has no value and no content type")
	}
	op.Conditions = opConditions(set, ifMatch)
	return op, err
}

// opConditions makes the list of an operation's conditions in the space it needs.
func opConditions(set int, ifMatch uint64) []ledger.Condition {
	match := ledger.Condition{Kind: ledger.IfMatch}
	if set&fieldIfMatch != 0 {
		match.Seqs = []uint64{ifMatch}
	}
	absent := ledger.Condition{Kind: ledger.IfNoneMatch, Any: true}
	switch set & (fieldIfMatch | fieldIfNoneMatch) {
	case fieldIfMatch:
		return []ledger.Condition{match}
	case fieldIfNoneMatch:
		return []ledger.Condition{absent}
	case fieldIfMatch | fieldIfNoneMatch:
		return []ledger.Condition{match, absent}
	}
	return nil
}

// decodeText reads a field that is a string.
func decodeText(s *jsonScanner, op *ledger.WriteOp, field int) error {
	text, err := s.str()
	if err != nil {
		return err
	}
	switch field {
	case fieldOp:
		switch string(text) {
		case "put":
			op.Op = tlog.OpPut
		case "delete":
			op.Op = tlog.OpDelete
		default:
			return s.errorf(`"op" is "put" or "delete"`)
		}
	case fieldKey:
		op.Key = text
	case fieldValue:
		op.Value = text
	case fieldKeyB64:
		op.Key, err = s.base64(text)
	case fieldValueB64:
		op.Value, err = s.base64(text)
	case fieldContentType:
		op.ContentType = string(text)
		return checkContentType(op.ContentType)
	case fieldIfNoneMatch:
		if string(text) != "*" {
			return s.errorf(`"if_none_match" is "*"`)
		}
	}
	return err
}

// base64 decodes standard base64 with padding, in its one canonical form.
func (s *jsonScanner) base64(text []byte) ([]byte, error) {
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(out, text)
	// The decoder skips line breaks; they show in the length.
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(text) {
		return nil, s.errorf("a base64 string is malformed; it is the standard alphabet with padding")
	}
	return out[:n], nil
}
