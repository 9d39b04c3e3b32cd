package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/sim/mutations"
)

// printTable prints what killed each mutant, in Markdown: a table for the bugs of raft and its service, and one for those
// of the storage, of which the simulator is not asked.
func printTable(out io.Writer, verdicts []verdict) {
	ofStorage := func(v verdict) bool { return v.mutation.Bug >= mutations.FirstOfStorage }
	storage := slices.IndexFunc(verdicts, ofStorage)
	if storage < 0 {
		storage = len(verdicts)
	}
	if storage > 0 {
		printClusters(out, verdicts[:storage])
	}
	if storage < len(verdicts) {
		printStorage(out, verdicts[storage:])
	}
}

func printStorage(out io.Writer, verdicts []verdict) {
	fmt.Fprintln(out, "\n| bug | mutation | what it does | killed by |\n|---|---|---|---|")
	for _, b := range mutations.Bugs()[mutations.FirstOfStorage-1:] {
		what := fmt.Sprintf("%d. %s", b.Number, b.What)
		if b.Nowhere != "" {
			fmt.Fprintf(out, "| %s | – | %s | |\n", what, b.Nowhere)
		}
		for i := range verdicts {
			v := &verdicts[i]
			if v.mutation.Bug == b.Number {
				fmt.Fprintf(out, "| %s | `%s` | %s | %s |\n", what, v.mutation.Name, v.mutation.What, v.failed())
				what = ""
			}
		}
	}
}

func printClusters(out io.Writer, verdicts []verdict) {
	fmt.Fprintln(out, "| bug | mutation | what it does | simulator | tests |")
	fmt.Fprintln(out, "|---|---|---|---|---|")
	for _, b := range mutations.Bugs()[:mutations.FirstOfStorage-1] {
		if b.Nowhere != "" {
			fmt.Fprintf(out, "| %d. %s | – | %s | | |\n", b.Number, b.What, b.Nowhere)
		}
		what := fmt.Sprintf("%d. %s", b.Number, b.What)
		for i := range verdicts {
			v := &verdicts[i]
			if v.mutation.Bug != b.Number {
				continue
			}
			fmt.Fprintf(out, "| %s | `%s` | %s | %s | %s |\n", what, v.mutation.Name, v.mutation.What, v.simulator(), v.failed())
			what = ""
		}
	}
}

func (v *verdict) simulator() string {
	switch {
	case v.err != nil:
		return "?"
	case v.mutation.Unseen != "":
		return "not run: " + v.mutation.Unseen
	case v.seed == 0:
		return fmt.Sprintf("none of %d seeds", v.seeds)
	}
	return fmt.Sprintf("seed %d: %s", v.seed, checker(v.says))
}

// maxTests bounds the tests that the table names for a mutation.
const maxTests = 3

func (v *verdict) failed() string {
	switch n := len(v.tests); {
	case v.err != nil:
		return "?"
	case n == 0 && v.seed == 0:
		return "**survives**"
	case n == 0:
		return "none"
	case n > maxTests:
		return strings.Join(v.tests[:maxTests], ", ") + " and " + strconv.Itoa(n-maxTests) + " more"
	}
	return strings.Join(v.tests, ", ")
}

// checkers name what the simulator says by the check that it comes from. The first that fits counts.
var checkers = []struct{ says, name string }{
	{"election safety", "election safety"},
	{"leader append-only", "leader append-only"},
	{"log matching", "log matching"},
	{"leader completeness", "leader completeness"},
	{"state machine safety", "state machine safety"},
	{"answered a linearizable read", "stale read"},
	{"is not linearizable", "linearizability"},
	{"has taken effect twice", "a write took effect twice"},
	{"was acknowledged as entry", "an acknowledged write is lost"},
	{"was refused as not applied", "a refused write was applied"},
	{"was given up as not done", "a refused write was applied"},
	{"which is not what they hold", "a wrong read"},
	{"got seq", "an old seq"},
	{"with root", "roots differ"},
	{", roots ", "roots differ"},
	{"has gone back", "state goes back"},
	{"cannot start", "a node cannot start"},
	{"has failed, and nothing was done to it", "a node fails"},
	{"the healed cluster does not", "the healed cluster does not recover"},
	{"after the heal", "the healed cluster does not recover"},
	{"its log cannot give it", "an applied entry is not in the log"},
	{"panic: ", "panic"},
}

func checker(says string) string {
	i := slices.IndexFunc(checkers, func(c struct{ says, name string }) bool { return strings.Contains(says, c.says) })
	if i < 0 {
		return says
	}
	return checkers[i].name
}

// summarize says how many died, and fails unless all did.
func summarize(out io.Writer, verdicts []verdict, took time.Duration) error {
	var simulated, tested, both int
	var errs []error
	for i := range verdicts {
		v := &verdicts[i]
		switch {
		case v.err != nil || v.survived():
			errs = append(errs, errors.New(v.String()))
		case v.seed != 0 && len(v.tests) > 0:
			both++
		case v.seed != 0:
			simulated++
		default:
			tested++
		}
	}
	fmt.Fprintf(out, "\n%d mutants in %.0f s: %d killed by simulator and tests, %d by the simulator alone, %d by tests alone, %d "+
		"not killed\n", len(verdicts), took.Seconds(), both, simulated, tested, len(errs))
	return errors.Join(errs...)
}
