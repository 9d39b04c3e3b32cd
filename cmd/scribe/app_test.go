package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

const moment = "2026-11-22T10:00:00.000001Z"

// ledgerServer is a server whose one key is "a". It holds size entries, all of them puts of "a"; entry n has the value vn.
type ledgerServer struct {
	t    *testing.T
	size uint64
	salt string // goes into every value: another salt is another history
	last *http.Request
	body []byte
}

func (l *ledgerServer) value(seq uint64) string { return fmt.Sprintf("v%d%s", seq, l.salt) }

func (l *ledgerServer) record(seq uint64) []byte {
	value := l.value(seq)
	b, err := tlog.AppendRecord(nil, &tlog.Record{Op: tlog.OpPut, Seq: seq, Time: 1, Key: []byte("a"),
		ValueSize: uint64(len(value)), ValueHash: sha256.Sum256([]byte(value))})
	if err != nil {
		l.t.Error(err)
	}
	return b
}

func (l *ledgerServer) leaves(n uint64) []merkle.Hash {
	out := make([]merkle.Hash, n)
	for i := range out {
		out[i] = merkle.LeafHash(l.record(uint64(i)))
	}
	return out
}

func nodes(leaves []merkle.Hash) merkle.NodeFunc {
	return func(level uint, index uint64) (merkle.Hash, error) {
		return merkle.RootOf(leaves[index<<level : (index+1)<<level]), nil
	}
}

func hexes(hashes []merkle.Hash, err error) []string {
	out := []string{}
	for _, h := range hashes {
		out = append(out, h.String())
	}
	return out
}

func (l *ledgerServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.last = r
	l.body, _ = io.ReadAll(r.Body)
	newest := l.size - 1
	answer := func(status int, doc any) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(doc)
	}
	entry := map[string]any{"seq": newest, "time": moment, "op": "put", "key": "a", "size": len(l.value(newest)),
		"leaf_hash": merkle.Hash{}.String()}
	switch path := r.URL.Path; {
	case path == "/v1/kv/a" && r.Method == http.MethodGet:
		w.Header().Set("X-Scribe-Seq", fmt.Sprint(newest))
		w.Header().Set("X-Scribe-Time", moment)
		io.WriteString(w, l.value(newest))
	case path == "/v1/kv/a":
		l.size++
		answer(http.StatusCreated, map[string]any{"seq": l.size - 1, "time": moment, "size": len(l.body),
			"leaf_hash": merkle.Hash{}.String()})
	case path == "/verify/a":
		answer(http.StatusOK, l.proof(newest))
	case path == "/v1/proof/consistency":
		var from, to uint64
		fmt.Sscan(r.URL.Query().Get("from")+" "+r.URL.Query().Get("to"), &from, &to)
		h := merkle.Hash{}.String()
		answer(http.StatusOK, map[string]any{"from": from, "to": to, "from_root": h, "to_root": h,
			"proof": hexes(merkle.ConsistencyProof(from, to, nodes(l.leaves(to))))})
	case path == "/v1/history/a", path == "/v1/entries":
		answer(http.StatusOK, map[string]any{"entries": []any{entry}})
	case path == "/v1/range":
		odd := map[string]any{"key_b64": base64.StdEncoding.EncodeToString([]byte("b\x1b[2J\xff"))}
		for name, v := range entry {
			if name != "key" {
				odd[name] = v
			}
		}
		answer(http.StatusOK, map[string]any{"entries": []any{entry, odd}})
	case path == "/cluster/status":
		answer(http.StatusOK, map[string]any{"node_id": 1, "role": "leader", "tree_size": l.size,
			"root": merkle.RootOf(l.leaves(l.size)).String()})
	default:
		w.Header().Set("Content-Type", "application/problem+json")
		answer(http.StatusNotFound, map[string]any{"code": "key_not_found", "detail": "there is no such key"})
	}
}

func (l *ledgerServer) proof(seq uint64) map[string]any {
	leaves := l.leaves(l.size)
	root := merkle.RootOf(leaves)
	note, err := (&tlog.Checkpoint{Origin: "ledger.test", Size: l.size, Root: root}).Text()
	if err != nil {
		l.t.Error(err)
	}
	sum := merkle.Hash(sha256.Sum256([]byte(l.value(seq))))
	return map[string]any{"key": "a", "seq": seq, "verified": true, "leaf_hash": leaves[seq].String(),
		"record": base64.StdEncoding.EncodeToString(l.record(seq)), "value_sha256": sum.String(), "segment": nil,
		"ledger": map[string]any{"index": seq, "tree_size": l.size, "root": root.String(), "checkpoint": note,
			"proof": hexes(merkle.InclusionProof(seq, l.size, nodes(leaves)))}}
}

// command runs the command against a server and gives what it printed.
type command struct {
	t        *testing.T
	env      map[string]string
	stdin    string
	terminal bool
	fs       vfs.FS
}

func newCommand(t *testing.T) (*ledgerServer, *command) {
	l := &ledgerServer{t: t, size: 5}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return l, &command{t: t, env: map[string]string{endpointEnv: server.URL}, fs: vfs.NewOS()}
}

func (c *command) run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(c.stdin), stdout: &out, stderr: &errs, fs: c.fs, lock: vfs.NewOS().LockShared,
		getenv: func(name string) string { return c.env[name] }, isTerminal: func(any) bool { return c.terminal }}
	code = a.run(context.Background(), args)
	if s := errs.String(); (code == exitOK) != (s == "") || strings.Count(s, "\n") > 1 {
		c.t.Errorf("%v: exit %d with %q on standard error", args, code, s)
	}
	return code, out.String(), errs.String()
}

// ok runs a command that must succeed.
func (c *command) ok(args ...string) string {
	c.t.Helper()
	code, stdout, stderr := c.run(args...)
	if code != exitOK {
		c.t.Fatalf("%v: exit %d, %s", args, code, stderr)
	}
	return stdout
}

func TestPutSendsTheValue(t *testing.T) {
	l, c := newCommand(t)
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("from\x00file"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.stdin = "from stdin"
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"plain"}, "plain"}, {[]string{""}, ""}, {[]string{"-"}, "from stdin"}, {nil, "from stdin"},
		{[]string{"@" + file}, "from\x00file"},
	} {
		c.ok(append([]string{"put", "a"}, tc.args...)...)
		if string(l.body) != tc.want {
			t.Errorf("%q sends %q", tc.args, l.body)
		}
	}
	c.ok("put", "a", "x", "--content-type", "text/x", "--if-match", "3", "--idempotency-key", "once")
	h := l.last.Header
	if h.Get("Content-Type") != "text/x" || h.Get("If-Match") != `"3"` || h.Get("Idempotency-Key") != "once" {
		t.Errorf("sent %v", h)
	}
	c.ok("put", "a", "x", "--if-none-match", "*")
	if l.last.Header.Get("If-None-Match") != "*" {
		t.Errorf("sent %v", l.last.Header)
	}
	if out := c.ok("put", "a", "x", "--json"); !strings.Contains(out, `"key":"a"`) || !strings.Contains(out, `"seq":`) {
		t.Error(out)
	}
	c.ok("del", "a", "--if-match", "12")
	if l.last.Method != http.MethodDelete || l.last.Header.Get("If-Match") != `"12"` {
		t.Errorf("sent %s %v", l.last.Method, l.last.Header)
	}
}

func TestGetWritesTheBytes(t *testing.T) {
	l, c := newCommand(t)
	if out := c.ok("get", "a"); out != "v4" {
		t.Errorf("%q", out)
	}
	file := filepath.Join(t.TempDir(), "f")
	if out := c.ok("get", "a", "--output", file); out != "" {
		t.Errorf("%q", out)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "v4" {
		t.Errorf("%q, %v", b, err)
	}
	for args, want := range map[string]string{
		"--seq 3": "seq=3", "--as-of-seq 3": "as_of_seq=3", "--stale": "consistency=stale",
		"--as-of-time 2026-11-22T12:00:00+02:00": "as_of_time=2026-11-22T10%3A00%3A00Z",
	} {
		c.ok(append([]string{"get", "a"}, strings.Fields(args)...)...)
		if l.last.URL.RawQuery != want {
			t.Errorf("%s sends %s", args, l.last.URL.RawQuery)
		}
	}
}

func TestLists(t *testing.T) {
	_, c := newCommand(t)
	row := "         4  " + moment + "  put                 2  a\n"
	if out := c.ok("history", "a"); out != row {
		t.Errorf("%q", out)
	}
	c.terminal = true
	out := c.ok("range")
	if !strings.HasPrefix(out, "       SEQ") || !strings.Contains(out, row) || strings.Contains(out, "\x1b") ||
		!strings.Contains(out, `"b\x1b[2J\xff"`) {
		t.Errorf("%q", out)
	}
	out = c.ok("range", "--json", "--keys-only")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 || !json.Valid([]byte(lines[1])) ||
		!strings.Contains(lines[1], `"key_b64"`) {
		t.Errorf("%q", out)
	}
	if out := c.ok("entries", "--from", "4", "--json", "--keys-only"); !strings.HasPrefix(out, `{"seq":4,`) {
		t.Errorf("%q", out)
	}
	if out := c.ok("status"); !strings.Contains(out, "5 entries") {
		t.Errorf("%q", out)
	}
	if out := c.ok("status", "--json"); !json.Valid([]byte(out)) || !strings.Contains(out, `"tree_size":5`) {
		t.Errorf("%q", out)
	}
}

func TestVerifyKeepsState(t *testing.T) {
	l, c := newCommand(t)
	state := filepath.Join(t.TempDir(), "state")
	out := c.ok("verify", "a", "--state", state)
	for _, want := range []string{"ok    record", "ok    value", "ok    leaf", "ok    ledger", "ok    checkpoint",
		"no earlier checkpoint is known", "verified against the server's own root: entry 4 of a"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q lacks %q", out, want)
		}
	}
	l.size = 9
	if out := c.ok("verify", "a", "--state", state); !strings.Contains(out, "pinned checkpoint of 5 entries") ||
		!strings.Contains(out, "\nverified: entry 8 of a") {
		t.Errorf("%q", out)
	}
	before, err := os.ReadFile(state)
	if err != nil || !strings.HasPrefix(string(before), "ledger.test\n9\n") {
		t.Fatalf("%q, %v", before, err)
	}

	l.salt, l.size = "!", 12
	code, out, stderr := c.run("verify", "a", "--state", state)
	if code != exitFailure || !strings.HasSuffix(out, "FAIL\n") || !strings.Contains(stderr, "not the one seen before") {
		t.Errorf("another history: exit %d, %q, %q", code, out, stderr)
	}
	if after, _ := os.ReadFile(state); !bytes.Equal(before, after) {
		t.Errorf("the state file follows another history: %q", after)
	}
	if out := c.ok("verify", "a"); !strings.Contains(out, "verified against the server's own root") {
		t.Errorf("%q", out)
	}
	if code, _, stderr := c.run("verify", "a", "--value", "forged"); code != exitFailure ||
		!strings.Contains(stderr, "value") {
		t.Errorf("a wrong value: exit %d, %q", code, stderr)
	}
	c.ok("verify", "a", "--value", "v11!")
	code, out, _ = c.run("verify", "a", "--state", state, "--json")
	var doc struct{ Verified bool }
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.Verified || code != exitFailure {
		t.Errorf("exit %d, %s", code, out)
	}
	if err := os.WriteFile(state, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := c.run("verify", "a", "--state", state); code != exitFailure ||
		!strings.Contains(stderr, "remove it to trust the ledger anew") {
		t.Errorf("a damaged state file: exit %d, %q", code, stderr)
	}
}

// syncFails is a file system on which nothing becomes durable.
type syncFails struct{ vfs.FS }

type syncFailsFile struct{ vfs.File }

var errSync = errors.New("no sync today")

func (s syncFails) Create(name string) (vfs.File, error) {
	f, err := s.FS.Create(name)
	return syncFailsFile{f}, err
}

func (syncFailsFile) Sync() error { return errSync }

func TestStateThatIsNotKeptIsAFailure(t *testing.T) {
	_, c := newCommand(t)
	state := filepath.Join(t.TempDir(), "state")
	c.fs = syncFails{vfs.NewOS()}
	if code, _, stderr := c.run("verify", "a", "--state", state); code != exitFailure ||
		!strings.Contains(stderr, errSync.Error()) {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("a state file that is not durable replaced the old one")
	}
	c.fs = vfs.NewOS() // and what is left over does not stand in the way
	c.ok("verify", "a", "--state", state)
}

func TestExitCodes(t *testing.T) {
	_, c := newCommand(t)
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"get none", exitFailure, "scribe: get: none: "},
		{"history none", exitFailure, "404 key_not_found: there is no such key"},
		{"verify none", exitFailure, "key_not_found"},
		{"get a --output /nonexistent/f", exitFailure, "/nonexistent/f"},
		{"put a @/nonexistent/f", exitFailure, "/nonexistent/f"},
		{"get a --endpoint http://127.0.0.1:1", exitFailure, "is the node running? name another with --endpoint"},
		{"get", exitUsage, "see scribe get --help"},
		{"get a b", exitUsage, "see scribe get --help"},
		{"gett a", exitUsage, `unknown command "gett"`},
		{"get a --nope", exitUsage, "--nope"},
		{"get a --seq x", exitUsage, "--seq takes a whole number"},
		{"get a --seq 1 --as-of-seq 2", exitUsage, "as-of-seq"},
		{"get a --as-of-time yesterday", exitUsage, "2026-11-22T10:00:00Z"},
		{"get a --endpoint nowhere", exitUsage, "endpoint"},
		{"put a b --if-match x", exitUsage, "--if-match takes the seq"},
		{"put a b --if-none-match x", exitUsage, "--if-none-match takes '*' only"},
		{"put a b --if-none-match * --if-match 1", exitUsage, "if-match"},
		{"range x", exitUsage, "see scribe range --help"},
		{"history a --before x", exitUsage, "--before takes a whole number"},
		{"verify a --value x --no-value", exitUsage, "no-value"},
	} {
		code, out, stderr := c.run(strings.Fields(tc.args)...)
		if code != tc.code || !strings.Contains(stderr, tc.want) || out != "" {
			t.Errorf("%s: exit %d, want %d; %q lacks %q; printed %q", tc.args, code, tc.code, stderr, tc.want, out)
		}
	}
	c.terminal = true
	if code, _, stderr := c.run("put", "a"); code != exitUsage || !strings.Contains(stderr, "needs a value") {
		t.Errorf("put with a terminal for standard input: exit %d, %q", code, stderr)
	}
}

func TestEveryCommandHasExamples(t *testing.T) {
	_, c := newCommand(t)
	for _, name := range []string{"put", "get", "del", "history", "range", "entries", "verify", "status", "members", "join",
		"leave", "promote", "transfer"} {
		if out := c.ok(name, "--help"); !strings.Contains(out, "Examples:\n  ") {
			t.Errorf("%s --help has no examples", name)
		}
	}
	if out := c.ok("--help"); !strings.Contains(out, "Exit status") || !strings.Contains(out, endpointEnv) {
		t.Errorf("%q", out)
	}
}
