package phase

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
)

// Child has program, which is the benchmark's own, run the phase that plan describes, and decodes its answer into got. What
// the phase writes to standard error is the caller's standard error.
func Child(ctx context.Context, program string, plan, got any) error {
	told, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "-child", string(told))
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, got)
}

// Answer is what a program does that was given -child: it runs the phase and writes what it returns to w.
func Answer[Plan, Figures any](told string, w io.Writer, run func(Plan) (Figures, error)) error {
	var p Plan
	if err := json.Unmarshal([]byte(told), &p); err != nil {
		return err
	}
	got, err := run(p)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(got)
}

// Together has workers do the tasks 0 to n-1. The first error ends it.
func Together(workers, n int, do func(i int) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if errs[w] = do(int(i)); errs[w] != nil {
					next.Store(int64(n))
				}
			}
		})
	}
	group.Wait()
	return errs[max(0, slices.IndexFunc(errs, func(err error) bool { return err != nil }))]
}

// Number is a figure as tables show it: three digits, or a whole number with commas.
func Number(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
