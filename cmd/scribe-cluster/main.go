// Command scribe-cluster runs a cluster of local nodes for trying things out: it starts them, waits until they are ready,
// says how to use them, and stops them on Ctrl-C. Started again, it goes on with the data that is there.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options of one run.
type options struct {
	node     string // path of scribe-node
	data     string // directory that holds one directory and one log file per node
	nodes    int
	httpPort int // of node 1; the others follow
	raftPort int
}

const maxNodes = 9

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	f := flag.NewFlagSet("scribe-cluster", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.node, "node", ".bin/scribe-node", "the scribe-node `program`")
	f.StringVar(&o.data, "data", "scribe-data", "`directory` of the nodes' data and logs")
	f.IntVar(&o.nodes, "nodes", 3, "how many, 1 to 9")
	f.IntVar(&o.httpPort, "http-port", 8001, "HTTP `port` of node 1; the others follow")
	f.IntVar(&o.raftPort, "raft-port", 9001, "raft `port` of node 1; the others follow")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if o.nodes < 1 || o.nodes > maxNodes || f.NArg() > 0 || o.httpPort < 1 || o.httpPort+maxNodes > 65535 ||
		o.raftPort < 1 || o.raftPort+maxNodes > 65535 {
		fmt.Fprintln(stderr, "scribe-cluster: see --help: 1 to 9 nodes, ports below 65527, and nothing behind the flags")
		return 2
	}
	if err := newCluster(o, stdout).run(ctx); err != nil {
		fmt.Fprintln(stderr, "scribe-cluster:", err)
		return 1
	}
	return 0
}
