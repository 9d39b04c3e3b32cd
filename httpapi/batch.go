package httpapi

import (
	"errors"
	"mime"
	"net/http"
	"strconv"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
)

// The media types of a batch.
const (
	mediaJSON        = "application/json"
	mediaBinaryBatch = "application/x-scribe-batch"
)

// batch answers POST /v1/batch.
func (c *call) batch() error {
	c.unread = true // until the body was read
	if _, err := parseQuery(c.rawQuery()); err != nil {
		return err
	}
	h := c.r.Header
	if len(h["If-Match"])+len(h["If-None-Match"])+len(h["If-Unmodified-Since"]) > 0 {
		return badRequest("the preconditions of a batch stand in its operations, not in headers")
	}
	idem, err := idempotencyKey(h)
	if err != nil {
		return err
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || media != mediaJSON && media != mediaBinaryBatch {
		return &problem{status: http.StatusUnsupportedMediaType, code: codeMediaType,
			detail: "a batch is " + mediaJSON + " or " + mediaBinaryBatch}
	}
	limits := batchLimits{key: c.api.opt.MaxKeyBytes, value: c.api.opt.MaxValueBytes, ops: c.api.opt.MaxBatchOps,
		bytes: c.api.opt.MaxBatchBytes}
	body, err := c.readBody(limits.bytes, limits.tooLarge)
	if err != nil {
		return err
	}
	c.unread = false
	cmd := &ledger.Command{IdempotencyKey: idem}
	c.identify(cmd, nil, body)
	if media == mediaJSON {
		cmd.Ops, err = decodeBatchJSON(body, limits)
	} else {
		cmd.Ops, err = decodeBatchBinary(body, limits)
	}
	if err != nil {
		return err
	}
	rc, err := c.write(cmd)
	if err != nil {
		return err
	}
	c.out = append(c.out[:0], `{"first_seq":`...)
	c.out = strconv.AppendUint(c.out, rc.FirstSeq, 10)
	c.out = append(c.out, `,"count":`...)
	c.out = strconv.AppendUint(c.out, rc.Count, 10)
	c.out = append(c.out, `,"time":"`...)
	c.out = appendTime(c.out, rc.Time)
	c.out = append(c.out, "\"}\n"...)
	c.sendJSON(http.StatusCreated, c.out)
	return nil
}

// batchLimits bound a batch and the keys and values in it. They are the Options of the same names.
type batchLimits struct {
	key, value int
	ops, bytes int
}

func (l batchLimits) tooLarge() *problem {
	return &problem{status: http.StatusRequestEntityTooLarge, code: codeBatchTooLarge,
		detail: "a batch has at most " + strconv.Itoa(l.ops) + " operations and " + strconv.Itoa(l.bytes) +
			" bytes of body"}
}

// check judges operation i: whether there may be so many, and its sizes.
func (l batchLimits) check(op *ledger.WriteOp, i int) error {
	if i >= l.ops {
		return l.tooLarge().atOp(i)
	}
	most := ledger.MaxKeyBytes
	if op.Op == tlog.OpPut {
		most = l.key
	}
	if err := checkKey(op.Key, most); err != nil {
		return opProblem(err, i)
	}
	if len(op.Value) > l.value {
		return opProblem(&problem{status: http.StatusRequestEntityTooLarge, code: codeValueTooLarge,
			detail: "a value has at most " + strconv.Itoa(l.value) + " bytes"}, i)
	}
	return nil
}

// opProblem names the operation that an error of this package is about.
func opProblem(err error, i int) error {
	var p *problem
	if errors.As(err, &p) && !p.hasOp {
		return p.atOp(i)
	}
	return err
}

func emptyBatch() *problem { return badRequest("a batch has at least one operation") }
