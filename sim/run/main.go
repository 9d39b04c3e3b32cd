// Command run runs seeds of the cluster simulator: one, to look at it closely, or many, to look for one that fails.
//
//	go run ./sim/run -seed 17 -v          one seed, with every event
//	go run ./sim/run -seeds 2000          seeds 1 to 2000, on all cores
//
// It prints what the runs came to, and for a seed that fails the command that repeats it.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/scribe-ledger/scribe/sim"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	seed, from uint64
	seeds      int
	duration   time.Duration
	workers    int
	verbose    bool
	keepGoing  bool
	profile    string
	allocs     string
	nodes      int
}

func parse(args []string, errs io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("run", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Uint64Var(&o.seed, "seed", 0, "the only seed to run")
	f.Uint64Var(&o.from, "from", 1, "the first of many seeds")
	f.IntVar(&o.seeds, "seeds", 100, "how many seeds to run")
	f.DurationVar(&o.duration, "duration", 100*time.Second, "simulated time under faults, for each seed")
	f.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "seeds that run at a time")
	f.BoolVar(&o.verbose, "v", false, "print every event")
	f.BoolVar(&o.keepGoing, "k", false, "go on after a seed that fails")
	f.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile to this file")
	f.StringVar(&o.allocs, "memprofile", "", "write a profile of all allocations to this file")
	f.IntVar(&o.nodes, "nodes", 0, "founders, in place of the drawn number")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.seed != 0 {
		o.from, o.seeds, o.workers = o.seed, 1, 1
	}
	if o.seeds < 1 || o.workers < 1 || f.NArg() > 0 {
		return o, errors.New("run: -seeds and -workers are at least 1, and there are no other arguments")
	}
	return o, nil
}

func run(args []string, out, errs io.Writer) error {
	o, err := parse(args, errs)
	if err != nil {
		return err
	}
	// A run allocates much and holds little: with the usual setting the collector would run all the time, and without one
	// every page is touched for the first time.
	debug.SetGCPercent(400)
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	r := runner{options: o, out: out}
	if err := r.run(); err != nil || o.allocs == "" {
		return err
	}
	return writeAllocations(o.allocs)
}

// writeAllocations writes the profile of what was allocated since the start.
func writeAllocations(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}

// runner runs the seeds.
type runner struct {
	options
	out io.Writer

	mu     sync.Mutex // guards what follows
	next   uint64
	total  sim.Stats
	passed int
	failed []uint64
	bar    *progressbar.ProgressBar
}

func (r *runner) run() error {
	if !r.verbose && r.seeds > 1 && term.IsTerminal(int(os.Stderr.Fd())) {
		r.bar = progressbar.Default(int64(r.seeds), "seeds")
	}
	began := time.Now()
	r.next = r.from
	var workers sync.WaitGroup
	for range min(r.workers, r.seeds) {
		workers.Go(r.work)
	}
	workers.Wait()
	took := time.Since(began)
	fmt.Fprintf(r.out, "%d of %d seeds passed in %.1f s, %.0f times real time\n%s\n", r.passed, r.seeds, took.Seconds(),
		r.total.Simulated.Seconds()/took.Seconds(), r.total.String())
	if len(r.failed) > 0 {
		return fmt.Errorf("%d seeds failed: %v", len(r.failed), r.failed)
	}
	return nil
}

// work runs one seed after the other.
func (r *runner) work() {
	for {
		r.mu.Lock()
		seed := r.next
		stop := seed >= r.from+uint64(r.seeds) || len(r.failed) > 0 && !r.keepGoing
		r.next++
		r.mu.Unlock()
		if stop {
			return
		}
		cfg := sim.Config{Seed: seed, Duration: r.duration}
		if r.nodes > 0 {
			cfg.Alter = func(p *sim.Plan) { p.Nodes = r.nodes }
		}
		var trace *bufio.Writer
		if r.verbose {
			trace = bufio.NewWriter(r.out)
			cfg.Trace = trace
		}
		result, err := sim.Run(cfg)
		if trace != nil {
			_ = trace.Flush() // a trace that cannot be written is seen to be cut off
		}
		r.done(result, err)
	}
}

func (r *runner) done(result sim.Result, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total.Add(result.Stats)
	if r.bar != nil {
		_ = r.bar.Add(1) // it is only for the eyes
	}
	if r.seeds == 1 {
		fmt.Fprintf(r.out, "plan %+v\ntrace hash %016x\n", result.Plan, result.Hash)
	}
	if err == nil {
		r.passed++
		return
	}
	r.failed = append(r.failed, result.Seed)
	fmt.Fprintf(r.out, "\n%v\nrepeat with: go run ./sim/run -seed %d -duration %v -v\n", err, result.Seed, r.duration)
}
