package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/merkle"
)

// fakeNode makes this test binary a node that says it is ready; its value is what the node does beside that.
const fakeNode = "SCRIBE_CLUSTER_TEST_NODE"

func TestMain(m *testing.M) {
	if does := os.Getenv(fakeNode); does != "" {
		os.Exit(beNode(does, os.Args[1:]))
	}
	os.Exit(m.Run())
}

func beNode(does string, args []string) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	flags := make(map[string]string)
	for i := 0; i+1 < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	fmt.Println("the node says", strings.Join(args, " "))
	fmt.Printf("its store is %q\n", os.Getenv("SCRIBE_TIER_DIR"))
	if does == "end" && flags["--node-id"] == "2" {
		return 3
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			stop <- syscall.SIGTERM
			return
		}
		fmt.Fprintf(w, `{"node_id":%s,"status":"ok","leader":2,"root":%q}`, flags["--node-id"], merkle.Hash{})
	})
	go http.ListenAndServe(flags["--listen"], handler)
	<-stop
	fmt.Println("the node stops")
	return 0
}

// freePort is the first of some ports that follow each other and that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
search:
	for port := 21_000 + os.Getpid()%4000; port < 60_000; port += 20 {
		for i := range 4 {
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+i))
			if err != nil {
				continue search
			}
			defer l.Close()
		}
		return port
	}
	t.Fatal("no free ports")
	return 0
}

// output is what the program prints, watched.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(o.String(), text); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in\n%s", text, o)
		}
	}
}

// start runs the program and returns what ends it and gives its exit status.
func start(t *testing.T, does string, port int, data string) (out *output, end func() int) {
	t.Helper()
	t.Setenv(fakeNode, does)
	ctx, cancel := context.WithCancel(context.Background())
	out = &output{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"--node", os.Args[0], "--data", data, "--http-port", strconv.Itoa(port),
			"--raft-port", strconv.Itoa(port + 10)}, out, out)
	}()
	end = func() int {
		cancel()
		return <-code
	}
	t.Cleanup(cancel)
	return out, end
}

func TestCluster(t *testing.T) {
	port, data := freePort(t), filepath.Join(t.TempDir(), "data")
	for range 2 { // the second time on data that is there
		out, end := start(t, "serve", port, data)
		out.await(t, "3 local nodes, node 2 leads")
		out.await(t, "Ctrl-C")
		if code := end(); code != 0 {
			t.Errorf("exit status %d\n%s", code, out)
		}
		if !strings.HasSuffix(out.String(), "all nodes are stopped\n") {
			t.Errorf("%s", out)
		}
	}
	for id := 1; id <= 3; id++ {
		b, err := os.ReadFile(filepath.Join(data, fmt.Sprintf("node-%d.log", id)))
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("--node-id %d --data-dir %s/node-%d --listen 127.0.0.1:%d --raft-listen 127.0.0.1:%d "+
			"--initial-cluster 1=127.0.0.1:%d,2=127.0.0.1:%d,3=127.0.0.1:%d", id, data, id, port+id-1, port+9+id,
			port+10, port+11, port+12)
		if strings.Count(string(b), want) != 2 || strings.Count(string(b), "the node stops") != 2 {
			t.Errorf("node %d says\n%s, not\n%s", id, b, want)
		}
		if want := fmt.Sprintf("its store is %q\n", data+"/store"); strings.Count(string(b), want) != 2 {
			t.Errorf("node %d says\n%s, not\n%s", id, b, want)
		}
	}
}

// TestStoreOfTheEnvironment: whoever names an object store gets that one.
func TestStoreOfTheEnvironment(t *testing.T) {
	const ours = "SCRIBE_TIER_DIR=data/store"
	for variable, want := range map[string]bool{"SCRIBE_TIER_BACKEND=s3": false, "SCRIBE_TIER_DIR=/mnt": false,
		"SCRIBE_CONFIG=scribe.toml": false, "SCRIBE_TIER_DIR=": true, "SCRIBE_TIER_POLICY_MIN_AGE=0": true} {
		name, value, _ := strings.Cut(variable, "=")
		t.Run(variable, func(t *testing.T) {
			t.Setenv(name, value)
			if p := newProcess(options{data: "data"}, 1, ""); slices.Contains(p.env, ours) != want {
				t.Errorf("the folder of the cluster: %v, want %v", !want, want)
			}
		})
	}
}

func TestANodeThatEnds(t *testing.T) {
	port := freePort(t)
	out, end := start(t, "serve", port, t.TempDir())
	out.await(t, "Ctrl-C")
	if resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/end", port+2)); err == nil {
		resp.Body.Close()
	}
	out.await(t, "node 3 has ended")
	out.await(t, "--node-id 3 ")
	if code := end(); code != 0 {
		t.Errorf("exit status %d\n%s", code, out)
	}
	out, end = start(t, "end", port, t.TempDir())
	out.await(t, "node 2 ended before it was ready (exit status 3):\nthe node says --node-id 2")
	if code := end(); code != 1 || !strings.Contains(out.String(), "all nodes are stopped") {
		t.Errorf("exit status %d\n%s", code, out)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range []string{"--nodes 0", "--nodes 10", "--http-port 0", "--raft-port 65530", "serve", "--nope"} {
		var out output
		if code := run(context.Background(), strings.Fields(args), &out, &out); code != 2 || out.String() == "" {
			t.Errorf("%s: exit status %d\n%s", args, code, &out)
		}
	}
	var out output
	if code := run(context.Background(), []string{"--node", "/nonexistent", "--data", t.TempDir()}, &out, &out); code != 1 ||
		!strings.Contains(out.String(), "start node 1") {
		t.Errorf("exit status %d\n%s", code, &out)
	}
}
