package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// BatchOp is one write of a batch: OpPut or OpDelete.
type BatchOp struct {
	Op          Op
	Key         string
	Value       []byte
	ContentType string
	If          Condition // of the state before the batch
}

// BatchReceipt says what a batch appended: Count entries from FirstSeq on, in the order of its ops.
type BatchReceipt struct {
	FirstSeq uint64
	Count    uint64
	Time     time.Time
}

type wireOp struct {
	Op          Op      `json:"op"`
	Key         *string `json:"key,omitempty"`
	KeyB64      *string `json:"key_b64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueB64    *string `json:"value_b64,omitempty"`
	ContentType string  `json:"content_type,omitempty"`
	IfMatch     *uint64 `json:"if_match,omitempty"`
	IfNoneMatch string  `json:"if_none_match,omitempty"`
}

// Batch appends all ops or none. An empty idempotencyKey makes a random one. Errors as for Put; the op at fault is in
// Error.OpIndex.
func (c *Client) Batch(ctx context.Context, ops []BatchOp, idempotencyKey string) (BatchReceipt, error) {
	wire := make([]wireOp, len(ops))
	for i := range ops {
		o, w := &ops[i], &wire[i]
		w.Op, w.ContentType = o.Op, o.ContentType
		w.Key, w.KeyB64 = splitBytes(o.Key)
		if o.Op == OpPut {
			w.Value, w.ValueB64 = splitBytes(string(o.Value))
		}
		switch o.If.kind {
		case ifSeq:
			w.IfMatch = &o.If.seq
		case ifAbsent:
			w.IfNoneMatch = "*"
		}
	}
	body, err := json.Marshal(map[string]any{"ops": wire})
	if err != nil {
		return BatchReceipt{}, err
	}
	const path = "/v1/batch"
	a, err := c.do(ctx, &call{method: http.MethodPost, target: path, body: body, limit: 1 << 20,
		header: map[string]string{"Content-Type": "application/json"}, key: c.keyOr(idempotencyKey)})
	if err != nil {
		return BatchReceipt{}, err
	}
	var w struct {
		FirstSeq *uint64 `json:"first_seq"`
		Count    uint64  `json:"count"`
		Time     string  `json:"time"`
	}
	if err := json.Unmarshal(a.body, &w); err != nil || w.FirstSeq == nil || w.Count != uint64(len(ops)) {
		return BatchReceipt{}, &ProtocolError{Path: path, Problem: "the receipt is not one of this batch"}
	}
	out := BatchReceipt{FirstSeq: *w.FirstSeq, Count: w.Count}
	if out.Time, err = parseTime(w.Time); err != nil {
		return BatchReceipt{}, &ProtocolError{Path: path, Problem: "the receipt has no time"}
	}
	return out, nil
}
