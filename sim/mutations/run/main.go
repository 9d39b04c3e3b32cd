// Command run plants the bugs of the catalogue one at a time and looks what notices: the simulator, over seeds from 1
// on, and the tests of the packages concerned. The tree is not touched; every mutant is built from an overlay.
//
//	go run ./sim/mutations/run                  all of them, and the table for docs/testing.md
//	go run ./sim/mutations/run -only figure-8   one, with what it says as it dies
//	go run ./sim/mutations/run -bugs 29-53      those of the log, segments and proofs
//
// It first runs the same commands without any bug, which must pass. It fails when a mutant survives.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/scribe-ledger/scribe/sim/mutations"
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
	only    []string
	from    int
	to      int
	first   bool
	seeds   int
	seedFor time.Duration
	testFor time.Duration
	workers int
	control bool
	tests   bool
	verbose bool
}

func parse(args []string, errs io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("run", flag.ContinueOnError)
	f.SetOutput(errs)
	only := f.String("only", "", "names of the mutations to run, with commas between them; all when empty")
	bugs := f.String("bugs", "", "numbers of the bugs whose mutations to run, as 29-53; all when empty")
	f.BoolVar(&o.first, "first", false, "leave a mutant once the tests of one package have killed it")
	f.IntVar(&o.seeds, "seeds", 150, "how many seeds of the simulator each mutant is given")
	f.DurationVar(&o.seedFor, "seed-timeout", time.Minute, "a seed that takes longer hangs")
	f.DurationVar(&o.testFor, "test-timeout", 3*time.Minute, "tests of a package that take longer hang")
	f.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "mutants at a time")
	f.BoolVar(&o.control, "control", true, "run the commands without a bug first")
	f.BoolVar(&o.tests, "tests", true, "run the tests too, not the simulator alone")
	f.BoolVar(&o.verbose, "v", false, "print what each mutant says as it dies")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
		o.verbose = o.verbose || len(o.only) == 1
	}
	if *bugs != "" {
		if n, err := fmt.Sscanf(*bugs, "%d-%d", &o.from, &o.to); n != 2 || err != nil {
			return o, fmt.Errorf("run: -bugs is two numbers with a dash between them, not %q", *bugs)
		}
	}
	if o.workers < 1 || o.seeds < 0 || f.NArg() > 0 {
		return o, errors.New("run: -workers is at least 1, -seeds at least 0, and there are no other arguments")
	}
	return o, nil
}

func run(args []string, out, errs io.Writer) error {
	o, err := parse(args, errs)
	if err != nil {
		return err
	}
	chosen, err := choose(&o)
	if err != nil {
		return err
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := runner{options: o, root: strings.TrimSpace(string(root)), dir: dir, out: out}
	return r.run(chosen)
}

func choose(o *options) ([]mutations.Mutation, error) {
	all := mutations.All()
	if o.to > 0 {
		all = slices.DeleteFunc(all, func(m mutations.Mutation) bool { return m.Bug < o.from || m.Bug > o.to })
	}
	if len(o.only) == 0 {
		return all, nil
	}
	var out []mutations.Mutation
	for _, name := range o.only {
		i := slices.IndexFunc(all, func(m mutations.Mutation) bool { return m.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("run: there is no mutation %q", name)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// runner runs mutants.
type runner struct {
	options
	root string // of the module
	dir  string // for what is built
	out  io.Writer

	mu  sync.Mutex // guards out and bar
	bar *progressbar.ProgressBar
}

func (r *runner) run(chosen []mutations.Mutation) error {
	began := time.Now()
	if r.control {
		if err := r.runControl(chosen); err != nil {
			return fmt.Errorf("without any bug: %w", err)
		}
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		r.bar = progressbar.Default(int64(len(chosen)), "mutants")
	}
	verdicts := make([]verdict, len(chosen))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(r.workers, len(chosen)) {
		workers.Go(func() {
			for i := range next {
				verdicts[i] = r.judge(&chosen[i])
				r.done(&verdicts[i])
			}
		})
	}
	for i := range chosen {
		next <- i
	}
	close(next)
	workers.Wait()
	if len(r.only) == 0 {
		printTable(r.out, verdicts)
	}
	return summarize(r.out, verdicts, time.Since(began))
}

// runControl runs on the code as it is what the mutants are run on: nothing of it may fail.
func (r *runner) runControl(chosen []mutations.Mutation) error {
	m := mutations.Mutation{Name: "control", Unseen: chosen[0].Unseen}
	for i := range chosen {
		if chosen[i].Unseen == "" {
			m.Unseen = ""
		}
		for _, pkg := range chosen[i].Tests {
			if !slices.Contains(m.Tests, pkg) {
				m.Tests = append(m.Tests, pkg)
			}
		}
	}
	v := r.judge(&m)
	switch {
	case v.err != nil:
		return v.err
	case v.seed != 0:
		return fmt.Errorf("seed %d fails: %s", v.seed, v.says)
	case len(v.tests) > 0:
		return fmt.Errorf("tests fail: %s", strings.Join(v.tests, ", "))
	}
	return nil
}

func (r *runner) done(v *verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bar != nil {
		_ = r.bar.Add(1) // it is only for the eyes
	}
	if r.verbose || v.survived() || v.err != nil {
		fmt.Fprintln(r.out, v.String())
	}
}

// path is a file of the module.
func (r *runner) path(file string) string { return filepath.Join(r.root, filepath.FromSlash(file)) }
