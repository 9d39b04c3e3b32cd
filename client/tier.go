package client

import (
	"context"
	"net/http"
	"time"
)

// TierResult says what a round of the cold tier did.
type TierResult struct {
	Uploaded      []string `json:"uploaded"` // ids of segments
	UploadedBytes uint64   `json:"uploaded_bytes"`
	Evicted       []string `json:"evicted"`
	EvictedBytes  uint64   `json:"evicted_bytes"`
	Published     uint64   `json:"published"` // size of the ledger that the archive in the store has; 0 for none
	Waiting       int      `json:"waiting"`   // segments that have no object yet
}

// Tier does a round of the cold tier at once and returns when it is done: the leader, wherever it is, uploads every segment
// that has no object, and with evict set the node that answers gives up every local copy that may go. It can be repeated
// freely.
func (c *Client) Tier(ctx context.Context, evict bool) (TierResult, error) {
	target := "/v1/admin/tier"
	if evict {
		target += "?evict=1"
	}
	var out TierResult
	err := c.json(ctx, &call{method: http.MethodPost, target: target}, &out)
	return out, err
}

// TierStatus is what a node knows of its cold tier.
type TierStatus struct {
	Store             string  `json:"store"`             // such as s3://bucket/prefix
	Report            string  `json:"report"`            // what the store can do, in one line
	Usable            bool    `json:"usable"`            // segments are entrusted to it
	Problem           string  `json:"problem,omitempty"` // why nothing is uploaded or evicted at the moment
	Waiting           int     `json:"waiting"`           // segments that are due and have no object yet
	WaitingBytes      uint64  `json:"waiting_bytes"`
	WaitingAgeSeconds float64 `json:"waiting_age_seconds"` // of the oldest of them
	LocalSegments     int     `json:"local_segments"`
	LocalBytes        uint64  `json:"local_bytes"`
	ColdSegments      int     `json:"cold_segments"`
	ColdBytes         uint64  `json:"cold_bytes"`
	Published         uint64  `json:"published"` // size of the ledger that the archive in the store has
	PublishedAt       string  `json:"published_at,omitempty"`
}

// WaitingAge is how long the oldest segment that is due has waited.
func (s TierStatus) WaitingAge() time.Duration {
	return time.Duration(s.WaitingAgeSeconds * float64(time.Second))
}

// TierStatus asks any of the endpoints how its cold tier is. CodeNoColdTier when it has none.
func (c *Client) TierStatus(ctx context.Context) (TierStatus, error) {
	var out TierStatus
	err := c.json(ctx, &call{method: http.MethodGet, target: "/v1/admin/tier"}, &out)
	return out, err
}

// ScrubResult says what a scrub has read, and what was wrong.
type ScrubResult struct {
	Segments int            `json:"segments"` // files read
	Objects  int            `json:"objects"`  // objects read
	Bytes    uint64         `json:"bytes"`
	Findings []ScrubFinding `json:"findings"`
}

// ScrubFinding is one damaged copy of a segment.
type ScrubFinding struct {
	Segment  string `json:"segment"`
	File     string `json:"file"` // path or object
	Offset   int64  `json:"offset"`
	Reason   string `json:"reason"`
	Repaired bool   `json:"repaired"`
	From     string `json:"from,omitempty"` // where a good copy was found
}

// Scrub has the node that answers read every copy of every segment that it has, here and in the store, against their
// hashes, repair what it can, and returns when that is done.
func (c *Client) Scrub(ctx context.Context) (ScrubResult, error) {
	var out ScrubResult
	err := c.json(ctx, &call{method: http.MethodPost, target: "/v1/admin/scrub"}, &out)
	return out, err
}
