package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// fileOf is a readFile that knows one file.
func fileOf(text string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if name != "s.toml" {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}
}

func mustLoad(t *testing.T, args, environ []string, file string) Config {
	t.Helper()
	c, err := Load(args, environ, fileOf(file))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNothingGivenIsTheDefault(t *testing.T) {
	if c := mustLoad(t, nil, []string{"PATH=/bin", "HOME"}, ""); !reflect.DeepEqual(c, Default()) {
		t.Fatalf("got\n%v", c)
	}
	d := Default()
	if d.Network.ListenAddr != "127.0.0.1:8001" || d.Network.RaftAddr != "127.0.0.1:9001" ||
		d.Node.DataDir != "./scribe-data" || d.Node.ID != 1 || d.Tier.Backend != "dir" {
		t.Fatal("a default differs from the contract's")
	}
}

func TestPrecedence(t *testing.T) {
	const file = "[log]\nlevel = \"warn\"\n"
	config := []string{"--config", "s.toml"}
	environ := []string{"SCRIBE_LOG_LEVEL=error"}
	for _, c := range []struct {
		args, environ []string
		want          string
	}{
		{nil, nil, "info"},
		{config, nil, "warn"},
		{nil, []string{"SCRIBE_CONFIG=s.toml"}, "warn"},
		{config, environ, "error"},
		{append(config, "--log-level=debug"), environ, "debug"},
		{config, []string{"SCRIBE_LOG_LEVEL="}, "warn"}, // empty is not set
	} {
		if got := mustLoad(t, c.args, c.environ, file).Log.Level; got != c.want {
			t.Errorf("%v %v: level %s, want %s", c.args, c.environ, got, c.want)
		}
	}
	// --config beats SCRIBE_CONFIG.
	if _, err := Load(config, []string{"SCRIBE_CONFIG=other.toml"}, fileOf(file)); err != nil {
		t.Error(err)
	}
}

// samples has, for every key, a TOML value that is not the default, and the same as a variable has it.
func samples() map[string][2]string {
	m := make(map[string][2]string)
	c := Default()
	for _, f := range fields(&c) {
		switch v := f.to.(type) {
		case idValue:
			m[f.key] = [2]string{"7", "7"}
		case boolValue:
			m[f.key] = [2]string{fmt.Sprint(!*v.p), fmt.Sprint(!*v.p)}
		case countValue:
			m[f.key] = [2]string{"5", "5"}
		case sizeValue:
			n := max(v.min, min(*v.p/2, v.max)) + 1
			m[f.key] = [2]string{fmt.Sprint(n), fmt.Sprint(n)}
		case durationValue:
			m[f.key] = [2]string{`"1501ms"`, "1501ms"}
		case choiceValue:
			m[f.key] = [2]string{`"` + v.choices[len(v.choices)-1] + `"`, v.choices[len(v.choices)-1]}
		case addrValue, joinValue, advertiseValue:
			m[f.key] = [2]string{`"h:77"`, "h:77"}
		case urlValue:
			m[f.key] = [2]string{`"https://h"`, "https://h"}
		case peersValue:
			m[f.key] = [2]string{`"2=b:2,1=a:1"`, "2=b:2,1=a:1"}
		default:
			m[f.key] = [2]string{`"some"`, "some"}
		}
	}
	return m
}

// One field at a time, through each source. What other fields would have to say to it is not asked.
func TestEveryKeyInFileAndEnvironment(t *testing.T) {
	d := Default()
	for key, sample := range samples() {
		file, environ := Default(), Default()
		section, name := key[:strings.LastIndexByte(key, '.')], lastPart(key)
		doc := "[" + section + "]\n" + name + " = " + sample[0] + "\n"
		if err := newLoader(&file).applyFile("s.toml", []byte(doc)); err != nil {
			t.Errorf("file: %v", err)
		}
		l := newLoader(&environ)
		f := l.byKey[key]
		vars, err := l.parseEnviron([]string{f.env() + "=" + sample[1]})
		if err == nil {
			err = l.applyEnviron(vars)
		}
		if err != nil {
			t.Errorf("environment: %v", err)
		}
		if !reflect.DeepEqual(file, environ) || reflect.DeepEqual(file, d) {
			t.Errorf("%s: file and environment give\n%v\nand\n%v", key, file, environ)
		}
		if f.short == "" {
			continue
		}
		c := Default()
		vars = map[string]string{f.short: sample[1]}
		if err := newLoader(&c).applyEnviron(vars); err != nil || !reflect.DeepEqual(c, file) {
			t.Errorf("%s: %v gives\n%v", f.short, err, c)
		}
	}
}

func TestContractNames(t *testing.T) {
	c := Default()
	l := newLoader(&c)
	for key, want := range map[string][2]string{ // flag, variable
		"node.id":             {"node-id", "SCRIBE_NODE_ID"},
		"node.data_dir":       {"data-dir", "SCRIBE_DATA_DIR"},
		"network.listen_addr": {"listen", "SCRIBE_LISTEN_ADDR"},
		"network.raft_addr":   {"raft-listen", "SCRIBE_RAFT_ADDR"},
		"cluster.initial":     {"initial-cluster", "SCRIBE_INITIAL_CLUSTER"},
		"cluster.bootstrap":   {"bootstrap", "SCRIBE_BOOTSTRAP"},
		"cluster.join":        {"join", "SCRIBE_JOIN"},
		"log.level":           {"log-level", "SCRIBE_LOG_LEVEL"},
		"tier.s3.bucket":      {"", "SCRIBE_TIER_S3_BUCKET"},
	} {
		f := l.byKey[key]
		if f == nil || f.flag != want[0] || (f.short != want[1] && f.env() != want[1]) {
			t.Errorf("%s: %+v, want flag and variable %v", key, f, want)
		}
	}
}

func TestEveryFieldIsInTheTable(t *testing.T) {
	var c Config
	names := make(map[string]bool)
	count := 0
	for _, f := range fields(&c) {
		for _, name := range []string{f.key, f.env(), f.short, f.flag} {
			if name != "" && names[name] && name != f.short {
				t.Errorf("%s stands twice", name)
			}
			names[name] = true
		}
		count++
		if f.help == "" || f.to.want() == "" {
			t.Errorf("%s has no help", f.key)
		}
	}
	if leaves := countLeaves(reflect.TypeOf(c)) - 2; leaves != count { // but Mode and File
		t.Fatalf("Config has %d settings, the table %d", leaves, count)
	}
}

func countLeaves(t reflect.Type) int {
	if t.Kind() != reflect.Struct {
		return 1
	}
	n := 0
	for i := range t.NumField() {
		n += countLeaves(t.Field(i).Type)
	}
	return n
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ file, environ, args, want string }{
		{file: "[limits]\nmax_keybytes = 1",
			want: "s.toml:2: limits.max_keybytes: there is no such key; the nearest is limits.max_key_bytes"},
		{file: "listen_addr = \"x\"",
			want: "s.toml:1: listen_addr: there is no such key; the nearest is network.listen_addr"},
		{file: "tier.s3.buckets = \"x\"", want: "the nearest is tier.s3.bucket"},
		{file: "\n[tier]\ns3 = { regio = \"x\" }", want: "s.toml:3: tier.s3.regio"},
		{file: "[limit]\n", want: "s.toml:1: limit: there is no such key"},
		{file: "[node]\nID = 3", want: "node.ID: there is no such key; the nearest is node.id"},
		{file: "node = 4", want: "s.toml:1: node: is a section"},
		{file: "[[node]]\nid = 1", want: "node: is a section"},
		{file: "[node]\nid = 0", want: "s.toml:2: node.id: \"0\" is not possible; it must be a whole number, 1 or more"},
		{file: "[node]\nid = \"1\"", want: "node.id"},
		{file: "[node]\nid = 1.5", want: "node.id"},
		{file: "[node]\ndata_dir = 5", want: "node.data_dir"},
		{file: "[cluster]\nbootstrap = \"true\"", want: "it must be true or false"},
		{file: "[limits]\nmax_key_bytes = 9000", want: "from 1 to 4KiB"},
		{file: "[limits]\nmax_key_bytes = -1", want: "limits.max_key_bytes"},
		{file: "[limits]\nmax_value_bytes = \"65MiB\"", want: "from 1 to 64MiB"},
		{file: "[limits]\nmax_value_bytes = \"64 MoB\"", want: "a size such as"},
		{file: "[limits]\nmax_inflight_bytes = \"1MiB\"", want: "s.toml:2: limits.max_inflight_bytes: must leave room"},
		{file: "[raft]\nheartbeat = 5", want: "a duration such as"},
		{file: "[raft]\nheartbeat = \"900ms\"", want: "s.toml:2: raft.heartbeat: an election may start"},
		{file: "[raft]\nelection_max = \"500ms\"", want: "s.toml:2: raft.election_max: timeouts are drawn"},
		{file: "[http]\nshutdown_timeout = \"11s\"", want: "from 0s to 10s"},
		{file: "[tier]\nbackend = \"gcs\"", want: "it must be dir, s3 or none"},
		{file: "[tier]\nbackend = \"s3\"", want: "s.toml:2: tier.backend: backend s3 needs tier.s3.bucket"},
		{file: "[tier.s3]\naccess_key_id = \"a\"", want: "tier.s3.secret_access_key"},
		{file: "[tier.s3]\nendpoint = \"https://user:hunter2@h\"", want: "tier.s3.endpoint"},
		{file: "[tier.s3]\nsse_kms_key_id = \"k\"", want: "s.toml:2: tier.s3.sse_kms_key_id: is a key of"},
		{file: "[tier.s3]\nsse = \"rot13\"", want: "it must be empty, AES256 or aws:kms"},
		{file: "[tier.s3]\npart_bytes = \"1MiB\"", want: "from 5MiB to 64MiB"},
		{file: "[tier.policy]\npins = \"a,,b\"", want: "s.toml:2: tier.policy.pins: \"a,,b\" is not possible"},
		{args: "--read-only", want: "command line: --read-only: needs the bucket that is to be served"},
		{args: "--bucket s3://b", want: "command line: --bucket: is what a reader serves, so it needs --read-only"},
		{args: "--restore-fetch", want: "--restore-fetch: needs the bucket"},
		{args: "--read-only --bucket s3://b --restore-from s3://b", want: "--restore-from: makes a ledger that takes writes"},
		{args: "--read-only --bucket s3://b --join h:1", want: "--join: a reader is no member"},
		{args: "--read-only --bucket s3://b --bootstrap", want: "--bootstrap: a reader is no member"},
		{args: "--restore-from s3://b --join h:1", want: "--restore-from: a node that joins"},
		{args: "--restore-from gs://b", want: "--restore-from: \"gs://b\" is not possible; it must be s3://bucket/prefix"},
		{args: "--restore-from s3://b//c", want: "--restore-from"},
		{args: "--restore-from s3://", want: "--restore-from"},
		{args: "--restore-from dir:", want: "--restore-from"},
		{args: "--restore-from s3://key:hunter2@b/c", want: "--restore-from"},
		{args: "--restore-from s3://b/p", environ: "SCRIBE_TIER_S3_PREFIX=q", want: "SCRIBE_TIER_S3_PREFIX: is another store"},
		{args: "--restore-from s3://b/p", environ: "SCRIBE_TIER_S3_BUCKET=b", want: "SCRIBE_TIER_S3_BUCKET: is another store"},
		{args: "--restore-from s3://b/p", environ: "SCRIBE_TIER_BACKEND=s3 SCRIBE_TIER_S3_BUCKET=other",
			want: "SCRIBE_TIER_S3_BUCKET: is another store than archive.restore_from, s3://b/p"},
		{args: "--restore-from s3://b/p", environ: "SCRIBE_TIER_BACKEND=none", want: "SCRIBE_TIER_BACKEND: is another store"},
		{args: "--restore-from /x", environ: "SCRIBE_TIER_DIR=/y", want: "SCRIBE_TIER_DIR: is another store"},
		{file: "[log]\nlevel = \"loud\"", want: "it must be trace, debug, info, warn or error"},
		{file: "a = ", want: "s.toml:1:4: is not TOML"},
		{file: "a = 1\na = 2", want: "s.toml:2:1: a: is not TOML"},
		{file: "\x00\xff", want: "s.toml:1:1: is not TOML"},
		{args: "--config other.toml", want: "other.toml: there is no such file"},
		{args: "--node-idd 3", want: "command line: --node-idd: there is no such flag; the nearest is --node-id"},
		{args: "run", want: "command line: run: is not expected"},
		{args: "--join", want: "command line: --join: needs a value"},
		{args: "--data-dir --bootstrap", want: "command line: --data-dir: needs a value"},
		{args: "--config=", want: "--config: needs a value"},
		{args: "--version=1", want: "--version: takes no value"},
		{args: "--listen nowhere", want: "command line: --listen: \"nowhere\" is not possible; it must be host:port"},
		{args: "--listen h:65536", want: "--listen"},
		{args: "--listen a:1 --raft-listen a:1", want: "--listen: HTTP and raft cannot both listen on a:1"},
		{args: "--bootstrap --join h:1", want: "--join: cannot be set with cluster.bootstrap"},
		{args: "--bootstrap --initial-cluster 1=h:1", want: "--bootstrap: cannot be set with cluster.initial"},
		{args: "--initial-cluster 2=h:1", want: "--initial-cluster: must name this node too: 1=host:port"},
		{args: "--initial-cluster 1=h:1,1=h:2", want: "each id and address once"},
		{args: "--initial-cluster 1=h:1,2=h:1", want: "each id and address once"},
		{args: "--initial-cluster 1=h:1,", want: "a list of raft addresses"},
		{args: "--join http://u:p@h:1", want: "--join"},
		{environ: "SCRIBE_NETWORK_ADVERTISE_RAFT=0.0.0.0:9001",
			want: "SCRIBE_NETWORK_ADVERTISE_RAFT: \"0.0.0.0:9001\" is not possible; it must be host:port that can be reached"},
		{environ: "SCRIBE_NETWORK_ADVERTISE_HTTP=:8001", want: "SCRIBE_NETWORK_ADVERTISE_HTTP: \":8001\" is not possible"},
		{environ: "SCRIBE_NETWORK_ADVERTISE_HTTP=[::]:8001", want: "is not possible"},
		{environ: "SCRIBE_NETWORK_ADVERTISE_HTTP=h:0", want: "is not possible"},
		{environ: "SCRIBE_NETWORK_ADVERTISE_RAFT=h:2", args: "--initial-cluster 1=h:1",
			want: "SCRIBE_NETWORK_ADVERTISE_RAFT: a founding node is reached at the address that cluster.initial gives it, h:1"},
		{args: "--listen h:1 --initial-cluster 1=h:1", want: "--listen: HTTP and raft cannot both listen on h:1"},
		{environ: "SCRIBE_DATADIR=x",
			want: "environment: SCRIBE_DATADIR: there is no such variable; the nearest is SCRIBE_DATA_DIR"},
		{environ: "SCRIBE_TIER_S3_BUCKETS=", want: "the nearest is SCRIBE_TIER_S3_BUCKET"},
		{environ: "SCRIBE_NODE_ID=x", want: "environment: SCRIBE_NODE_ID: \"x\" is not possible"},
		{environ: "SCRIBE_DATA_DIR=a SCRIBE_NODE_DATA_DIR=b",
			want: "SCRIBE_DATA_DIR: says a, but SCRIBE_NODE_DATA_DIR says b; set only one of them"},
	} {
		args := strings.Fields(c.args)
		if c.file != "" {
			args = append(args, "--config", "s.toml")
		}
		_, err := Load(args, strings.Fields(c.environ), fileOf(c.file))
		var typed *Error
		switch {
		case !errors.As(err, &typed):
			t.Errorf("%+v: %v is no *Error", c, err)
		case !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\r\x00"):
			t.Errorf("%+v:\ngot %q", c, err)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

func TestBothFormsMayAgree(t *testing.T) {
	c := mustLoad(t, nil, []string{"SCRIBE_DATA_DIR=a", "SCRIBE_NODE_DATA_DIR=a", "SCRIBE_ENDPOINT=http://h"}, "")
	if c.Node.DataDir != "a" {
		t.Fatal(c.Node.DataDir)
	}
}

func TestModes(t *testing.T) {
	for args, want := range map[string]Mode{
		"":                              Run,
		"--check-config":                CheckConfig,
		"--check-config --help":         ShowHelp,
		"-h":                            ShowHelp,
		"--version --config other.toml": ShowVersion, // before anything is read
	} {
		if got := mustLoad(t, strings.Fields(args), []string{}, "").Mode; got != want {
			t.Errorf("%q: mode %d, want %d", args, got, want)
		}
	}
	for _, want := range []string{"--initial-cluster", "SCRIBE_INITIAL_CLUSTER", "Examples:", "--check-config"} {
		if !strings.Contains(Usage(), want) {
			t.Errorf("usage does not name %s", want)
		}
	}
}

func TestBatchFollowsTheBudget(t *testing.T) {
	c := mustLoad(t, nil, []string{"SCRIBE_LIMITS_MAX_INFLIGHT_BYTES=2MiB", "SCRIBE_LIMITS_MAX_VALUE_BYTES=1MiB"}, "")
	if c.Limits.MaxBatchBytes != 2<<20 {
		t.Fatal(c.Limits.MaxBatchBytes)
	}
}

func TestPeersAndDurations(t *testing.T) {
	args := []string{"--node-id=2", "--initial-cluster", "2=b:2, 1=[::1]:1"}
	c := mustLoad(t, args, []string{"SCRIBE_RAFT_HEARTBEAT=10ms"}, "")
	want := []Peer{{1, "[::1]:1"}, {2, "b:2"}}
	if !reflect.DeepEqual(c.Cluster.Initial, want) || c.Raft.Heartbeat != 10*time.Millisecond {
		t.Fatalf("%+v", c.Cluster)
	}
	// Raft listens where the list says, unless told otherwise.
	if c.Network.RaftAddr != "b:2" {
		t.Fatalf("%+v", c.Network)
	}
	if c = mustLoad(t, append(args, "--raft-listen", ":2"), nil, ""); c.Network.RaftAddr != ":2" {
		t.Fatalf("%+v", c.Network)
	}
}

func TestExampleFile(t *testing.T) {
	data, err := os.ReadFile("../docs/scribe.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, []string{"--config", "s.toml"}, nil, string(data))
	c.File = ""
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("the example's values are not the defaults:\n%v\nwant\n%v", c, Default())
	}
	l := newLoader(&c)
	if err := l.applyFile("s.toml", data); err != nil {
		t.Fatal(err)
	}
	for key := range l.byKey {
		if _, ok := l.source[key]; !ok {
			t.Errorf("the example leaves out %s", key)
		}
	}
}
