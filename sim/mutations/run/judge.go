package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/sim/mutations"
)

// verdict is what became of a mutant.
type verdict struct {
	mutation *mutations.Mutation
	seeds    int      // that it was run on
	seed     int      // the first that killed it; 0: none
	says     string   // what that one said
	tests    []string // that failed
	err      error    // it could not be judged
}

func (v *verdict) survived() bool { return v.err == nil && v.seed == 0 && len(v.tests) == 0 }

func (v *verdict) String() string {
	name := v.mutation.Name
	switch {
	case v.err != nil:
		return fmt.Sprintf("%s cannot be judged: %v", name, v.err)
	case v.survived():
		return fmt.Sprintf("%s SURVIVES %d seeds and the tests of %s", name, v.seeds, strings.Join(v.mutation.Tests, ", "))
	case v.seed == 0:
		return fmt.Sprintf("%s: no seed of %d; tests: %s", name, v.seeds, strings.Join(v.tests, ", "))
	}
	return fmt.Sprintf("%s: seed %d: %s; tests: %s", name, v.seed, v.says, strings.Join(v.tests, ", "))
}

// errHangs says that something did not end in time.
var errHangs = errors.New("it hangs")

// judge plants a mutation and runs the simulator and the tests on it.
func (r *runner) judge(m *mutations.Mutation) verdict {
	v := verdict{mutation: m}
	overlay, err := r.plant(m)
	if err == nil && m.Unseen == "" && r.seeds > 0 {
		err = r.simulate(&v, overlay)
	}
	for _, pkg := range m.Tests {
		if err == nil && r.tests && !(r.first && len(v.tests) > 0) {
			err = r.test(&v, pkg, overlay)
		}
	}
	v.err = err
	return v
}

// plant writes the changed files and the overlay that has them take the place of the real ones.
func (r *runner) plant(m *mutations.Mutation) (overlay string, err error) {
	files, err := m.Files(func(file string) (string, error) {
		b, err := os.ReadFile(r.path(file))
		return string(b), err
	})
	if err != nil {
		return "", err
	}
	dir := filepath.Join(r.dir, m.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for file, source := range files {
		copied := filepath.Join(dir, strconv.Itoa(len(replace))+"-"+filepath.Base(file))
		if err := os.WriteFile(copied, []byte(source), 0o600); err != nil {
			return "", err
		}
		replace[r.path(file)] = copied
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}

// simulate runs the simulator on seeds from 1 on, each in a process of its own, until one kills the mutant.
func (r *runner) simulate(v *verdict, overlay string) error {
	binary := filepath.Join(filepath.Dir(overlay), "sim")
	if out, err := r.command(context.Background(), "go", "build", "-overlay", overlay, "-ldflags=-w", "-o", binary, "./sim/run").
		CombinedOutput(); err != nil {
		return fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	defer os.Remove(binary)
	for seed := 1; seed <= r.seeds; seed++ {
		v.seeds = seed
		says, err := r.runSeed(binary, seed)
		if errors.Is(err, errHangs) && v.mutation.Hangs {
			v.seed, v.says = seed, errHangs.Error()
			return nil
		}
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
		if says != "" {
			v.seed, v.says = seed, says
			return nil
		}
	}
	return nil
}

// runSeed returns what the simulator said of a seed that failed; empty when it passed.
func (r *runner) runSeed(binary string, seed int) (says string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.seedFor)
	defer cancel()
	out, err := r.command(ctx, binary, "-seed", strconv.Itoa(seed)).CombinedOutput()
	var failed *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", errHangs
	case !errors.As(err, &failed):
		return "", err
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if _, violation, ok := strings.Cut(line, ": violation: "); ok {
			return violation, nil
		}
		if strings.HasPrefix(line, "panic: ") {
			return line, nil
		}
	}
	return "", fmt.Errorf("it failed without a reason:\n%s", out)
}

// Of the simulator's package, the tests of one stack of storage are run as tests; its clusters are run by seed.
const (
	storageTests   = "./sim"
	storagePattern = "^Test(CrashPoints|Faults|FullDisk|FlippedBits|TornTail|Metamorphic)$"
)

// maxReport bounds what is told of a run that cannot be judged.
const maxReport = 4 << 10

// drawsProperties says whether the tests of a package take the flags of rapid.
func (r *runner) drawsProperties(ctx context.Context, pkg string) (bool, error) {
	out, err := r.command(ctx, "go", "list", "-f", "{{.TestImports}}{{.XTestImports}}", pkg).Output()
	return bytes.Contains(out, []byte("pgregory.net/rapid")), err
}

// test runs the tests of a package and notes those that fail.
func (r *runner) test(v *verdict, pkg, overlay string) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.testFor+time.Minute)
	defer cancel()
	args := []string{"test", "-overlay", overlay, "-ldflags=-w", "-json", "-vet=off", "-count=1", "-short", "-timeout",
		r.testFor.String()}
	if r.first {
		args = append(args, "-failfast")
	}
	if pkg == storageTests {
		args = append(args, "-run", storagePattern)
	}
	args = append(args, pkg)
	if uses, err := r.drawsProperties(ctx, pkg); err != nil {
		return err
	} else if uses { // the same cases in every run, and nothing is written into the tree when they fail
		args = append(args, "-rapid.seed=1", "-rapid.nofailfile")
	}
	out, err := r.command(ctx, "go", args...).CombinedOutput()
	var failed *exec.ExitError
	if err == nil {
		return nil
	}
	if !errors.As(err, &failed) {
		return err
	}
	before := len(v.tests)
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	panicked := ""
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // of the compiler
		}
		test, _, sub := strings.Cut(e.Test, "/")
		switch {
		case e.Action == "build-fail":
			return fmt.Errorf("%s does not build:\n%s", pkg, out)
		case strings.HasPrefix(e.Output, "panic: test timed out") && !v.mutation.Hangs:
			return fmt.Errorf("%s: %w", pkg, errHangs)
		case strings.HasPrefix(e.Output, "panic: ") && e.Test == "":
			panicked = pkg + " panics"
		case strings.HasPrefix(e.Output, "fatal error: ") || strings.HasPrefix(e.Output, "unexpected fault address"):
			panicked = cmp.Or(test, pkg) + " (the process ends)"
		case e.Action == "fail" && test != "" && !sub && !slices.Contains(v.tests, test):
			v.tests = append(v.tests, test)
		}
	}
	if len(v.tests) == before && panicked != "" {
		v.tests = append(v.tests, panicked)
	}
	if len(v.tests) == before {
		return fmt.Errorf("%s failed without a failing test:\n%s", pkg, out[max(0, len(out)-maxReport):])
	}
	return nil
}

// command makes a command that runs at the root of the module. What it started ends with it.
func (r *runner) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = r.root
	c.WaitDelay = time.Second
	return c
}
