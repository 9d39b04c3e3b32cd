package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/client"
	"github.com/scribe-ledger/scribe/config"
)

const someCluster = "000102030405060708090a0b0c0d0e0f"

// A node that has joined starts with the flag that it joined by, whether a member answers or not; but not where that is of
// another cluster than the directory.
func TestJoinedElsewhere(t *testing.T) {
	root := strings.Repeat("0", 64)
	for _, tc := range []struct {
		name, answer string
		refused      bool
	}{
		{"the same cluster", fmt.Sprintf(`{"cluster_id":%q,"root":%q}`, someCluster, root), false},
		{"another cluster", fmt.Sprintf(`{"cluster_id":%q,"root":%q}`, strings.Repeat("f", 32), root), true},
		{"a member that does not know yet", fmt.Sprintf(`{"root":%q}`, root), false},
		{"no member", "<html>", false},
		{"no answer", "", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if tc.answer == "" {
				panic(http.ErrAbortHandler)
			}
			if r.URL.Path != "/cluster/status" {
				t.Errorf("%s: %s is asked", tc.name, r.URL.Path)
			}
			fmt.Fprint(w, tc.answer)
		}))
		c := config.Default()
		c.Cluster.Join, c.Node.DataDir = server.URL, "somewhere"
		err := checkJoined(c, someCluster)
		server.Close()
		var problem *config.Error
		if errors.As(err, &problem) != tc.refused || err != nil && !tc.refused {
			t.Errorf("%s: %v", tc.name, err)
		}
		if tc.refused && (!strings.Contains(err.Error(), someCluster) || !strings.Contains(err.Error(), "somewhere")) {
			t.Errorf("%s: %v does not say which cluster, or which directory", tc.name, err)
		}
		if err := checkJoined(c, someCluster); err != nil {
			t.Errorf("%s: with the member down: %v", tc.name, err)
		}
	}
}

// script answers joins one after another: "503", "200", "409", "301", "html", "odd id", "hang up". The last one repeats.
type script struct {
	t       *testing.T
	answers []string
	bodies  []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/cluster/join" {
		s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	answer := s.answers[min(len(s.bodies), len(s.answers)-1)]
	s.bodies = append(s.bodies, string(body))
	problem := func(status int, code string) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"code":%q,"detail":"the reason"}`, code)
	}
	switch answer {
	case "200":
		fmt.Fprintf(w, `{"node_id":4,"cluster_id":%q,"members":[{"node_id":1,"raft_addr":"h:1"}]}`, someCluster)
	case "odd id":
		fmt.Fprint(w, `{"node_id":4,"cluster_id":"x","members":[]}`)
	case "html":
		fmt.Fprint(w, "<html>")
	case "503":
		problem(503, "no_leader")
	case "409":
		problem(409, "membership_conflict")
	case "301":
		http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
	case "hang up":
		panic(http.ErrAbortHandler)
	}
}

func TestJoin(t *testing.T) {
	for _, tc := range []struct {
		answers  string
		attempts int
		want     string // in the error; empty is taken in
	}{
		{"200", 1, ""},
		{"503,hang up,503,200", 4, ""},
		{"503,409", 2, "refuses to let this node join as node 4"},
		{"409", 1, "the reason"},
		{"301", 1, "301"},
		{"html", 1, "no member of a ledger's cluster"},
		{"odd id", 1, `cluster id "x"`},
	} {
		s := &script{t: t, answers: strings.Split(tc.answers, ",")}
		server := httptest.NewServer(s)
		var slept []time.Duration
		j := &joiner{endpoint: server.URL, logger: slog.New(slog.DiscardHandler),
			as: client.NewMember{NodeID: 4, RaftAddr: "r:1", HTTPAddr: "h:1", Learner: true},
			sleep: func(_ context.Context, d time.Duration) error {
				slept = append(slept, d)
				return nil
			}}
		info, err := j.join(context.Background())
		server.Close()
		if tc.want == "" && (err != nil || info.ClusterID != someCluster || len(info.Members) != 1 ||
			info.Members[0].RaftAddr != "h:1") || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %+v, %v", tc.answers, info, err)
		}
		if len(s.bodies) != tc.attempts || len(slept) != tc.attempts-1 {
			t.Errorf("%s: %d attempts, slept %v", tc.answers, len(s.bodies), slept)
		}
		for i, body := range s.bodies {
			if body != `{"node_id":4,"raft_addr":"r:1","http_addr":"h:1","learner":true}` {
				t.Errorf("sent %s", body)
			}
			if i > 0 && slept[i-1] != min(joinMinWait<<(i-1), joinMaxWait) {
				t.Errorf("slept %v", slept)
			}
		}
	}
}

// A member that is not there is waited for, until a signal.
func TestJoinWaits(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	tries := 0
	j := &joiner{endpoint: "http://127.0.0.1:1", logger: slog.New(slog.DiscardHandler),
		sleep: func(ctx context.Context, _ time.Duration) error {
			if tries++; tries == 10 {
				cancel(errStop)
			}
			return context.Cause(ctx)
		}}
	if info, err := j.join(ctx); !errors.Is(err, errStop) || info != nil || tries != 10 {
		t.Fatalf("%v, %v after %d tries", info, err, tries)
	}
}
