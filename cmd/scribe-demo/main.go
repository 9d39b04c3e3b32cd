// Command scribe-demo stores a real tree of files in a ledger, kills the node half-way, and shows that nothing is lost:
// every file is read back and compared, histories and a scan are checked, and proofs of random entries are verified by
// the client's own code. With --cold all segments go to the object store before that, and their files
// away; which store that is the node takes from its environment, as always. It exits with 1 on any difference.
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
	node    string // path of scribe-node
	tree    string // root of the files
	data    string // data directory; empty for one that is removed afterwards
	workers int    // requests at a time
	cold    bool   // upload the segments and delete their files before all is read back
	proofs  int    // entries whose proofs are verified
	seed    uint64 // of the random choices
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	f := flag.NewFlagSet("scribe-demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.node, "node", ".bin/scribe-node", "the scribe-node `program`")
	f.StringVar(&o.tree, "tree", "", "the `directory` whose files are stored")
	f.StringVar(&o.data, "data", "", "data `directory` of the node, kept afterwards (default a temporary one)")
	f.BoolVar(&o.cold, "cold", false, "upload all segments to the cold tier, delete their files, and read them there")
	f.IntVar(&o.workers, "workers", 32, "requests at a time")
	f.IntVar(&o.proofs, "proofs", 1000, "random entries whose proofs are verified")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the random choices")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if o.tree == "" {
		fmt.Fprintln(stderr, "scribe-demo: --tree is missing: name a directory whose files are stored")
		return 2
	}
	d := &demo{opts: o, out: stdout, log: stderr}
	if err := d.run(ctx); err != nil {
		fmt.Fprintln(stderr, "scribe-demo:", err)
		return 1
	}
	return 0
}
