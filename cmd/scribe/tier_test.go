package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// tierServer answers what a node says of its tier; a target that is not in answers is answered with the problem.
func tierServer(t *testing.T, answers map[string]string, status int, problem string) *command {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+r.RequestURI]
		if !ok {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			answer = problem
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	_, c := newCommand(t)
	c.env[endpointEnv] = server.URL
	return c
}

func TestTierCommands(t *testing.T) {
	status := map[string]any{"store": "s3://b/p", "report": "s3://b/p has all that is needed", "usable": true, "waiting": 2,
		"waiting_bytes": 2048, "waiting_age_seconds": 90.2, "local_segments": 1, "local_bytes": 1024, "cold_segments": 3,
		"cold_bytes": 3072, "published": 44, "published_at": moment}
	body, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	c := tierServer(t, map[string]string{
		"POST /v1/admin/tier":         `{"uploaded":["a"],"uploaded_bytes":1024,"evicted":[],"evicted_bytes":0,"published":0,"waiting":1}`,
		"POST /v1/admin/tier?evict=1": `{"uploaded":[],"uploaded_bytes":0,"evicted":["a","b"],"evicted_bytes":2048,"published":44,"waiting":0}`,
		"GET /v1/admin/tier":          string(body),
		"POST /v1/admin/scrub":        `{"segments":1,"objects":2,"bytes":3072,"findings":[]}`,
	}, 500, "")
	for args, want := range map[string]string{
		"tier": "uploaded  1 segment, 1.0 KiB\nevicted   0 segments, 0 B\nwaiting   1 segment\n" +
			"archive   nothing published yet\n",
		"tier evict": "uploaded  0 segments, 0 B\nevicted   2 segments, 2.0 KiB\nwaiting   0 segments\n" +
			"archive   entries 0 to 43\n",
		"tier status": "store     s3://b/p\nreport    s3://b/p has all that is needed\nlocal     1 segment, 1.0 KiB\n" +
			"cold      3 segments, 3.0 KiB\nwaiting   2 segments, 2.0 KiB, the oldest for 1m30s\n" +
			"archive   entries 0 to 43, at " + moment + "\n",
		"scrub": "1 file and 2 objects read, 3.0 KiB: 0 findings\n",
	} {
		if out := c.ok(strings.Fields(args)...); out != want {
			t.Errorf("%s:\n%swant\n%s", args, out, want)
		}
		if out := c.ok(append(strings.Fields(args), "--json")...); !json.Valid([]byte(out)) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s --json: %q", args, out)
		}
	}
	for _, args := range []string{"tier x", "tier status x", "tier --evict", "scrub x"} {
		if code, _, _ := c.run(strings.Fields(args)...); code != exitUsage {
			t.Errorf("%s: exit %d", args, code)
		}
	}
}

// What a store says may hold anything.
func TestTierStatusIsPrintable(t *testing.T) {
	c := tierServer(t, map[string]string{"GET /v1/admin/tier": `{"store":"s3://b","problem":"no \u001b[2J bucket"}`}, 500, "")
	if out := c.ok("tier", "status"); strings.Contains(out, "\x1b") || !strings.Contains(out, "problem") {
		t.Errorf("%q", out)
	}
	// Since when nothing is published says nothing.
	c = tierServer(t, map[string]string{"GET /v1/admin/tier": `{"store":"dir:d","published":0,"published_at":"` + moment + `"}`}, 500, "")
	if out := c.ok("tier", "status"); !strings.HasSuffix(out, "archive   nothing published yet\n") {
		t.Errorf("%q", out)
	}
}

func TestTierFailures(t *testing.T) {
	c := tierServer(t, nil, http.StatusConflict, `{"code":"no_cold_tier","detail":"this node has no cold tier"}`)
	for _, args := range []string{"tier", "tier evict", "tier status", "scrub"} {
		if code, _, stderr := c.run(strings.Fields(args)...); code != exitFailure || !strings.Contains(stderr, "set tier.backend") {
			t.Errorf("%s: exit %d, %s", args, code, stderr)
		}
	}
	c = tierServer(t, nil, http.StatusBadGateway, `{"code":"cold_unavailable","detail":"no such bucket"}`)
	for _, args := range []string{"tier", "tier evict", "scrub"} {
		if code, _, stderr := c.run(strings.Fields(args)...); code != exitFailure || !strings.Contains(stderr, "no such bucket") {
			t.Errorf("%s: exit %d, %s", args, code, stderr)
		}
	}
}

func TestScrubFindings(t *testing.T) {
	const good = `{"segment":"a","file":"segments/a.seg","offset":7,"reason":"checksum","repaired":true,"from":"peer 2"}`
	bad := strings.Replace(strings.Replace(good, "true", "false", 1), "peer 2", "", 1)
	for findings, want := range map[string]int{good: exitOK, bad: exitDamage, good + "," + bad: exitDamage} {
		c := tierServer(t, map[string]string{"POST /v1/admin/scrub": `{"segments":1,"objects":1,"bytes":1,"findings":[` + findings + `]}`},
			500, "")
		code, out, stderr := c.run("scrub")
		if code != want || !strings.Contains(out, "segments/a.seg") || !strings.Contains(out, "checksum") ||
			(want == exitDamage) != strings.Contains(stderr, "1 copy is damaged and not repaired") {
			t.Errorf("%s: exit %d, %s%s", findings, code, out, stderr)
		}
		if strings.Contains(findings, "true") != strings.Contains(out, "from peer 2") {
			t.Errorf("%s:\n%s", findings, out)
		}
	}
}
