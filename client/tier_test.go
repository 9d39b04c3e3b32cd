package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"
)

func TestTierCalls(t *testing.T) {
	answers := map[string]string{
		"POST /v1/admin/tier": `{"uploaded":["a"],"uploaded_bytes":5,"evicted":[],"evicted_bytes":0,"published":7,"waiting":2}`,
		"POST /v1/admin/tier?evict=1": `{"uploaded":[],"uploaded_bytes":0,"evicted":["a","b"],"evicted_bytes":9,"published":7,` +
			`"waiting":0}`,
		"GET /v1/admin/tier": `{"store":"s3://b","report":"r","usable":true,"waiting":1,"waiting_bytes":2,` +
			`"waiting_age_seconds":1.5,"local_segments":3,"local_bytes":4,"cold_segments":5,"cold_bytes":6,"published":7,` +
			`"published_at":"2026-11-22T10:00:00.000000Z"}`,
		"POST /v1/admin/scrub": `{"segments":1,"objects":2,"bytes":3,"findings":[{"segment":"a","file":"f","offset":4,` +
			`"reason":"r","repaired":true,"from":"peer 2"}]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+r.RequestURI]
		if !ok {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			answer = `{"code":"no_cold_tier"}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	c, err := New([]string{server.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	round, err := c.Tier(ctx, false)
	if want := (TierResult{Uploaded: []string{"a"}, UploadedBytes: 5, Evicted: []string{}, Published: 7, Waiting: 2}); err != nil ||
		!reflect.DeepEqual(round, want) {
		t.Errorf("%+v, %v", round, err)
	}
	if round, err = c.Tier(ctx, true); err != nil || len(round.Evicted) != 2 || round.EvictedBytes != 9 {
		t.Errorf("%+v, %v", round, err)
	}
	status, err := c.TierStatus(ctx)
	if want := (TierStatus{Store: "s3://b", Report: "r", Usable: true, Waiting: 1, WaitingBytes: 2, WaitingAgeSeconds: 1.5,
		LocalSegments: 3, LocalBytes: 4, ColdSegments: 5, ColdBytes: 6, Published: 7,
		PublishedAt: "2026-11-22T10:00:00.000000Z"}); err != nil || status != want || status.WaitingAge() != 1500*time.Millisecond {
		t.Errorf("%+v, %v", status, err)
	}
	scrub, err := c.Scrub(ctx)
	if want := (ScrubResult{Segments: 1, Objects: 2, Bytes: 3, Findings: []ScrubFinding{{Segment: "a", File: "f", Offset: 4,
		Reason: "r", Repaired: true, From: "peer 2"}}}); err != nil || !reflect.DeepEqual(scrub, want) {
		t.Errorf("%+v, %v", scrub, err)
	}
	clear(answers)
	if _, err := c.TierStatus(ctx); !IsCode(err, CodeNoColdTier) {
		t.Errorf("%v", err)
	}
}
