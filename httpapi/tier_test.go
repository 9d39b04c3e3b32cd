package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

func TestTier(t *testing.T) {
	r := newRig(t, nil)
	id := tlog.SegmentID(0, 1)
	const none = `{"uploaded":["%s"],"uploaded_bytes":100,"evicted":[],"evicted_bytes":0,"published":2,"waiting":1}` + "\n"
	if p := r.do("POST", "/v1/admin/tier", "").wants(t, 200); p.body != fmt.Sprintf(none, id) {
		t.Error(p.body)
	}
	const all = `{"uploaded":["%s"],"uploaded_bytes":100,"evicted":["%[1]s"],"evicted_bytes":90,"published":2,"waiting":1}` + "\n"
	if p := r.do("POST", "/v1/admin/tier?evict=1", "").wants(t, 200); p.body != fmt.Sprintf(all, id) {
		t.Error(p.body)
	}
	if !slices.Equal(r.model.evicts, []bool{false, true}) {
		t.Error(r.model.evicts)
	}
	r.do("POST", "/v1/admin/tier?evict=maybe", "").problem(t, 400, codeBadRequest)
	r.do("DELETE", "/v1/admin/tier", "").problem(t, 405, codeMethodNotAllowed)
	if p := r.do("POST", "/v1/admin/scrub", "").wants(t, 200); p.body != fmt.Sprintf(`{"segments":2,"objects":1,"bytes":300,`+
		`"findings":[{"segment":"%s","file":"segments/x.seg","offset":7,"reason":"checksum","repaired":true,"from":"store"}]}`+"\n",
		id) {
		t.Error(p.body)
	}
	r.get("/v1/admin/scrub").problem(t, 405, codeMethodNotAllowed)
}

// TestTierErrors: operators are told what the store said, and what to do.
func TestTierErrors(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct {
		err    error
		status int
		code   string
		says   string
		retry  string
	}{
		{ledger.ErrNoCold, 409, codeNoColdTier, "tier.backend", ""},
		{fmt.Errorf("round: %w", &tier.Error{Op: "put", Key: "k", Err: tier.ErrNoBucket}), 502, codeCold, "tier.s3.bucket", ""},
		{&tier.Error{Op: "put", Key: "k", Temporary: true, RetryAfter: 1500 * time.Millisecond, Err: errors.New("slow down")},
			502, codeCold, "slow down", "2"},
		{fmt.Errorf("round: %w", &node.TierError{Problem: "no such bucket"}), 502, codeCold, "no such bucket", ""},
		{&node.Unavailable{Reason: node.NoLeader, Detail: "d"}, 503, codeNoLeader, "d", "1"},
		{&vfs.CorruptError{File: "/x/a.seg", Reason: "r"}, 500, codeCorrupt, "a.seg", ""},
	} {
		r.model.tierErr = c.err
		for _, target := range []string{"/v1/admin/tier", "/v1/admin/tier?evict=1", "/v1/admin/scrub"} {
			p := r.do("POST", target, "")
			p.has(t, "Retry-After", c.retry)
			if m := p.problem(t, c.status, c.code); !strings.Contains(m["detail"].(string), c.says) {
				t.Errorf("%s: %v does not say %q", target, m, c.says)
			}
		}
	}
}

// TestTierStatus: a store with a problem makes no node unhealthy.
func TestTierStatus(t *testing.T) {
	r := newRig(t, nil)
	r.get("/v1/admin/tier").problem(t, 409, codeNoColdTier)
	if p := r.get("/health").wants(t, 200); strings.Contains(p.body, "tier") {
		t.Errorf("a node without a tier tells of one: %s", p.body)
	}
	if p := r.get("/metrics").wants(t, 200); strings.Contains(p.body, `"tier"`) {
		t.Errorf("a node without a tier tells of one: %s", p.body)
	}
	r.model.tiered = node.TierStatus{Store: "s3://b/p", Report: "s3://b/p has all that is needed", Problem: "no such bucket",
		Waiting: 3, WaitingBytes: 30, WaitingAge: 90 * time.Second, LocalBytes: 100, LocalSegments: 5, ColdBytes: 70,
		ColdSegments: 2, Published: 44, PublishedAt: time.UnixMicro(1_790_000_000_000_000)}
	const want = `{"store":"s3://b/p","report":"s3://b/p has all that is needed","usable":false,"problem":"no such bucket",` +
		`"waiting":3,"waiting_bytes":30,"waiting_age_seconds":90,"local_segments":5,"local_bytes":100,"cold_segments":2,` +
		`"cold_bytes":70,"published":44,"published_at":"2026-09-21T14:13:20.000000Z"}`
	if p := r.get("/v1/admin/tier").wants(t, 200); p.body != want+"\n" {
		t.Error(p.body)
	}
	p := r.get("/health").wants(t, 200)
	if !strings.Contains(p.body, `"tier":{"store":"s3://b/p","usable":false,"problem":"no such bucket"}`) ||
		!strings.Contains(p.body, `"status":"ok"`) {
		t.Error(p.body)
	}
	if p := r.get("/metrics").wants(t, 200); !strings.Contains(p.body, `"tier":`+want) {
		t.Error(p.body)
	}
	r.get("/readyz").wants(t, 200)
}

// TestColdUnavailable: what the store does not give is 502 or 504 on every route, whatever the error wraps; never 404, and
// never the deadline of the request.
func TestColdUnavailable(t *testing.T) {
	timeout := &tier.UnavailableError{Object: "segments/x.seg", Timeout: true, Err: context.DeadlineExceeded}
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  string
	}{
		{timeout, 504, codeCold, ""},
		{&ledger.ColdError{Segment: "s", Object: "o", Err: timeout}, 504, codeCold, ""},
		{fmt.Errorf("deep: %w", &tier.UnavailableError{Object: "o", RetryAfter: 250 * time.Millisecond,
			Err: errors.New("secret.example refuses")}), 502, codeCold, "1"},
		{&ledger.ColdError{Segment: "s", Object: "o", Err: &tier.UnavailableError{Object: "o", Err: tier.ErrRefused,
			RetryAfter: 3 * time.Second}}, 502, codeCold, "3"},
		{&ledger.ColdError{Segment: "s", Object: "o", Err: &tier.Error{Op: "get", Err: tier.ErrNotFound}}, 502, codeCold, ""},
		{&ledger.ColdError{Segment: "s", Object: "o", Err: fs.ErrNotExist}, 502, codeCold, ""},
		{&ledger.ColdError{Segment: "s", Object: "o", Err: &vfs.CorruptError{File: "s3://b/o", Offset: 3, Reason: "r"}},
			500, codeCorrupt, ""},
	} {
		r := newRig(t, nil)
		for i := range 50 {
			r.model.put(fmt.Sprintf("k%02d", i), strings.Repeat("x", 10_000))
		}
		r.model.readErr, r.model.corruptAt = c.err, 40
		for _, target := range []string{"/v1/kv/k45", "/v1/kv/k45?seq=45", "/k45", "/v1/range", "/v1/range?reverse=1",
			"/v1/entries", "/v1/history/k45", "/verify/k45", "/v1/range?consistency=stale"} {
			p := r.get(target)
			p.has(t, "Retry-After", c.retry)
			if m := p.problem(t, c.status, c.code); strings.Contains(m["detail"].(string), "secret") {
				t.Errorf("%s: the detail tells of the store: %v", target, m)
			}
			if p = r.do("HEAD", target, ""); p.status != c.status {
				t.Errorf("HEAD %s: status %d", target, p.status)
			}
		}
		for _, target := range []string{"/v1/range", "/v1/entries"} { // a stream that has begun breaks off
			if p := r.get(target, "Accept: application/x-ndjson").wants(t, 200); p.broken == nil {
				t.Errorf("%s: a cut stream looks whole (%d bytes)", target, len(p.body))
			}
		}
		r.get("/v1/kv/k10").wants(t, 200)
		r.model.fail = c.err // a write whose condition needs such a segment
		m := r.put("/v1/kv/k45", "x", "If-None-Match: *").problem(t, c.status, c.code)
		if c.code == codeCold && !strings.Contains(m["detail"].(string), "nothing was written") {
			t.Errorf("a write is not told that it was not applied: %v", m)
		}
		r.do("DELETE", "/v1/kv/k45", "").has(t, "Retry-After", c.retry).problem(t, c.status, c.code)
		r.batch(`{"ops":[{"op":"delete","key":"k45"}]}`).problem(t, c.status, c.code)
	}
}

// TestColdInMidStream: a large value whose later pieces do not come is cut off.
func TestColdInMidStream(t *testing.T) {
	r := newRig(t, nil)
	r.do("PUT", "/v1/kv/k", largeValue(4*readPiece))
	r.model.readErr = &tier.UnavailableError{Object: "o", Timeout: true, Err: context.DeadlineExceeded}
	r.model.corruptAt, r.model.badFrom = 1<<40, readPiece
	if p := r.get("/v1/kv/k"); p.status != 200 || p.broken == nil {
		t.Errorf("status %d, %d bytes, and no error", p.status, len(p.body))
	}
	r.get("/v1/kv/k", fmt.Sprintf("Range: bytes=%d-", 2*readPiece)).problem(t, 504, codeCold)
	r.idle()
}
