package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// SealResult says what a seal did.
type SealResult struct {
	Segments      []string `json:"segments"`       // ids of the segments made
	SealedThrough *uint64  `json:"sealed_through"` // last sealed seq; nil for an empty ledger
}

// Seal returns once everything committed before the call is in durable, recorded segments. It can be repeated freely.
func (c *Client) Seal(ctx context.Context) (SealResult, error) {
	var out SealResult
	err := c.json(ctx, &call{method: http.MethodPost, target: "/v1/admin/seal"}, &out)
	return out, err
}

// CompactResult says what a compaction did.
type CompactResult struct {
	Segments []string `json:"segments"` // ids of the segments made
	Merged   int      `json:"merged"`   // segments that they took the place of
	Left     int      `json:"left"`     // segments that there are now
}

// Compact returns once segments are merged as far as is due or, with full set, into as few as the limits allow. It can be
// repeated freely.
func (c *Client) Compact(ctx context.Context, full bool) (CompactResult, error) {
	target := "/v1/admin/compact"
	if full {
		target += "?full=1"
	}
	var out CompactResult
	err := c.json(ctx, &call{method: http.MethodPost, target: target}, &out)
	return out, err
}

// maxAnswer bounds the answers that are small by nature.
const maxAnswer = 16 << 20

func (c *Client) json(ctx context.Context, r *call, out any) error {
	r.limit = maxAnswer
	a, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return &ProtocolError{Path: r.target, Problem: err.Error()}
	}
	return nil
}
