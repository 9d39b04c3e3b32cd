package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tier"
)

// tierHealthJSON is how the cold tier is, in /health.
type tierHealthJSON struct {
	Store   string `json:"store"`
	Usable  bool   `json:"usable"`
	Problem string `json:"problem,omitempty"`
}

// tierHealthOf is nil for a node without a cold tier. A problem of the store is none of the node: what is here is
// served, and written, as before.
func tierHealthOf(s node.TierStatus) *tierHealthJSON {
	if s.Store == "" {
		return nil
	}
	return &tierHealthJSON{s.Store, s.Usable, s.Problem}
}

// tierStatusJSON is the answer of GET /v1/admin/tier.
type tierStatusJSON struct {
	Store  string `json:"store"`
	Report string `json:"report"`
	Usable bool   `json:"usable"`
	// Problem says why nothing is uploaded or evicted at the moment.
	Problem           string  `json:"problem,omitempty"`
	Waiting           int     `json:"waiting"` // segments that are due and have no object yet
	WaitingBytes      uint64  `json:"waiting_bytes"`
	WaitingAgeSeconds float64 `json:"waiting_age_seconds"`
	LocalSegments     int     `json:"local_segments"`
	LocalBytes        uint64  `json:"local_bytes"`
	ColdSegments      int     `json:"cold_segments"`
	ColdBytes         uint64  `json:"cold_bytes"`
	Published         uint64  `json:"published"` // tree size of the newest archive
	PublishedAt       string  `json:"published_at,omitempty"`
}

func tierStatusOf(s node.TierStatus) tierStatusJSON {
	out := tierStatusJSON{Store: s.Store, Report: s.Report, Usable: s.Usable, Problem: s.Problem, Waiting: s.Waiting,
		WaitingBytes: s.WaitingBytes, WaitingAgeSeconds: s.WaitingAge.Seconds(), LocalSegments: s.LocalSegments,
		LocalBytes: s.LocalBytes, ColdSegments: s.ColdSegments, ColdBytes: s.ColdBytes, Published: s.Published}
	if !s.PublishedAt.IsZero() {
		out.PublishedAt = string(appendTime(nil, s.PublishedAt.UnixMicro()))
	}
	return out
}

// tierDigest is nil for a node without a cold tier.
func tierDigest(s node.TierStatus) *tierStatusJSON {
	if s.Store == "" {
		return nil
	}
	out := tierStatusOf(s)
	return &out
}

// tierStatus answers GET /v1/admin/tier, from what this node knows; the store is not asked.
func (c *call) tierStatus() error {
	s := tierDigest(c.api.backend.TierStatus())
	if s == nil {
		return noColdTier()
	}
	return c.sendValueJSON(http.StatusOK, s)
}

// tier answers POST /v1/admin/tier. It takes as long as the uploads do; the client's leaving ends the wait.
func (c *call) tier() error {
	q, err := parseQuery(c.rawQuery())
	if err != nil {
		return err
	}
	evict, err := q.flag("evict")
	if err != nil {
		return err
	}
	r, err := c.api.backend.Tier(c.r.Context(), evict)
	if err != nil {
		return storeProblem(err)
	}
	return c.sendValueJSON(http.StatusOK, struct {
		Uploaded      []string `json:"uploaded"`
		UploadedBytes uint64   `json:"uploaded_bytes"`
		Evicted       []string `json:"evicted"`
		EvictedBytes  uint64   `json:"evicted_bytes"`
		Published     uint64   `json:"published"`
		Waiting       int      `json:"waiting"`
	}{list(r.Uploaded), r.UploadedBytes, list(r.Evicted), r.EvictedBytes, r.Published, r.Waiting})
}

// findingJSON is what the scrubber found wrong.
type findingJSON struct {
	Segment  string `json:"segment"`
	File     string `json:"file"` // a path or an object
	Offset   int64  `json:"offset"`
	Reason   string `json:"reason"`
	Repaired bool   `json:"repaired"`
	From     string `json:"from,omitempty"` // where the good copy was
}

// scrub answers POST /v1/admin/scrub, once all copies that this node has were read and checked.
func (c *call) scrub() error {
	r, err := c.api.backend.Scrub(c.r.Context())
	if err != nil {
		return storeProblem(err)
	}
	findings := make([]findingJSON, 0, len(r.Findings))
	for _, f := range r.Findings {
		findings = append(findings, findingJSON{Segment: f.Segment, File: f.File, Offset: f.Offset, Reason: f.Reason,
			Repaired: f.Repaired, From: f.From})
	}
	return c.sendValueJSON(http.StatusOK, struct {
		Segments int           `json:"segments"`
		Objects  int           `json:"objects"`
		Bytes    uint64        `json:"bytes"`
		Findings []findingJSON `json:"findings"`
	}{r.Segments, r.Objects, r.Bytes, findings})
}

// list is ids as JSON has them: never null.
func list(ids []string) []string {
	if ids == nil {
		return []string{}
	}
	return ids
}

func noColdTier() *problem {
	return &problem{status: http.StatusConflict, code: codeNoColdTier,
		detail: "this node has no cold tier: tier.backend is none, or it is one of several members and no store is named that " +
			"all of them reach; set tier.backend, tier.dir or tier.s3"}
}

// coldProblem is the answer to a request that needs bytes which are in the object store only, and did not come. It says
// nothing of whether there is such a key. nil when err is something else.
func coldProblem(err error) *problem {
	var unavailable *tier.UnavailableError
	var cold *ledger.ColdError
	p := &problem{status: http.StatusBadGateway, code: codeCold, cause: err,
		detail: "what was asked for is in the object store, which cannot be read now; what is here is served as before"}
	switch {
	case errors.As(err, &unavailable):
		p.retryAfter = unavailable.RetryAfter
		if unavailable.Timeout {
			p.status = http.StatusGatewayTimeout
			p.detail = "what was asked for is in the object store, which did not answer in time; what is here is served as before"
		}
	case errors.Is(err, tier.ErrUnavailable), errors.As(err, &cold):
	default:
		return nil
	}
	return p
}

// storeProblem is for the routes of operators, who are told what the store said, and what to do about it.
func storeProblem(err error) error {
	var unused *node.TierError
	var of *tier.Error
	switch {
	case errors.Is(err, ledger.ErrNoCold):
		return noColdTier()
	case !errors.As(err, &unused) && !errors.As(err, &of):
		return err
	}
	after, _ := tier.Temporary(err)
	return &problem{status: http.StatusBadGateway, code: codeCold, cause: err, retryAfter: after,
		detail: err.Error() + tier.Advice(err)}
}

// retrySeconds is a wait as Retry-After says it (RFC 9110 §10.2.3): whole seconds, rounded up.
func retrySeconds(d time.Duration) uint64 {
	return uint64((d + time.Second - 1) / time.Second)
}
