package sim

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// oneCase is the case that a failure named; all others are passed over.
var oneCase = flag.String("case", "", "the only case to run, as a failed test printed it")

// wanted says whether a case is to be run.
func wanted(name string) bool { return *oneCase == "" || *oneCase == name }

// failCase fails a test and says how to repeat the case alone.
func failCase(t *testing.T, name string, err error) {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	t.Fatalf("%v\nrepeat with: go test ./sim -run '^%s$' -args -case '%s'", err, test, name)
}

// smallOptions make a script of some hundred entries fill several log files and segments.
func smallOptions(fs vfs.FS, method wal.AppendMethod) Options {
	return Options{
		FS:  fs,
		Dir: "data",
		WAL: wal.Options{FileBytes: 16 << 10, Method: method},
		Ledger: ledger.Options{SealBytes: 20 << 10, SealAge: -1, BlockBytes: 2 << 10, BlockCacheBytes: 1 << 20,
			CompactFanIn: 2},
	}
}

// survival is one way in which a power cut may leave the disk.
type survival struct {
	name string
	opts vfs.CrashOptions
}

// survivals are none, all, and some random subsets of what was not synced. op makes the subsets differ.
func survivals(op int64, subsets int) []survival {
	out := []survival{{"none", vfs.CrashOptions{Keep: vfs.KeepNone}}, {"all", vfs.CrashOptions{Keep: vfs.KeepAll}}}
	for i := range subsets {
		out = append(out, survival{fmt.Sprintf("random%d", i),
			vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(uint64(op), uint64(i)))}})
	}
	return out
}

// survives opens what a crash left of a player's disk, holds it against the model, and goes on with it.
func (p *Player) survives(left vfs.FS) error {
	o := p.Options
	o.FS, o.Proposed, o.Applied = left, nil, nil
	o.Clock = &Clock{micros: p.Options.Clock.micros}
	s, err := OpenStack(o)
	if err != nil {
		return fmt.Errorf("open after the crash: %w", err)
	}
	defer s.Close()
	if err := s.Run(); err != nil {
		return fmt.Errorf("replay after the crash: %w", err)
	}
	if err := p.Model.Check(s.Ledger(), p.Acked); err != nil {
		return fmt.Errorf("after the crash: %w", err)
	}
	return goOn(s)
}

// goOn writes and seals once more, as a node must be able to at any time.
func goOn(s *Stack) error {
	before := s.Ledger().NextSeq()
	if _, err := s.Write(&ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: []byte("after"),
		Value: []byte("the crash")}}}); err != nil {
		return fmt.Errorf("write after the crash: %w", err)
	}
	if _, err := s.Seal(); err != nil {
		return fmt.Errorf("seal after the crash: %w", err)
	}
	if err := s.Settle(); err != nil {
		return fmt.Errorf("write and seal after the crash: %w", err)
	}
	l := s.Ledger()
	if got := l.Manifest().TreeSize; got <= before {
		return fmt.Errorf("after a write to %d entries and a seal the manifest has %d", before, got)
	}
	e, err := l.Get([]byte("after"), ledger.Selector{})
	if err != nil {
		return fmt.Errorf("get after the crash: %w", err)
	}
	if string(e.Value) != "the crash" || e.Seq < before {
		return fmt.Errorf("get after the crash: %q of entry %d", e.Value, e.Seq)
	}
	return agreesWithItself(l)
}

// agreesWithItself computes the root from the entries.
func agreesWithItself(l *ledger.Ledger) error {
	it, err := l.Entries(0, true)
	if err != nil {
		return err
	}
	defer it.Close()
	var f tlog.Frontier
	for it.Next() {
		f.Append(it.Entry().Leaf)
	}
	if it.Err() != nil {
		return it.Err()
	}
	if size, root := l.Root(); f.Size() != size || f.Root() != root {
		return fmt.Errorf("%d entries give root %v; the ledger says %d and %v", f.Size(), f.Root(), size, root)
	}
	return nil
}

// crashScript is a script to crash, and how large the log's files are for it.
type crashScript struct {
	name      string
	method    wal.AppendMethod
	fileBytes int64
	steps     []Step
}

// crashScripts are the long script, by both ways of appending, and a short one in which most entries have a log file of
// their own, so that a trim that goes one entry too far shows.
func crashScripts() []crashScript {
	long := Script(1, 200, Sizes{Small: 600, Large: 65 << 10, Every: 60})
	return []crashScript{
		{"pwrite", wal.ByPwrite, 16 << 10, long},
		{"stores", wal.ByStores, 16 << 10, long},
		{"files", wal.ByPwrite, 4 << 10, fileEach(5)},
	}
}

// fileEach is a script whose entries behind each seal have a log file each when it is trimmed.
func fileEach(rounds int) (steps []Step) {
	put := func(i int) {
		steps = append(steps, Step{Kind: StepWrite, Write: &ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut,
			Key: fmt.Appendf(nil, "k/%d", i), Value: bytes.Repeat([]byte{byte(i)}, 3700)}}}}, Step{Kind: StepRun})
	}
	for i := range rounds {
		put(2 * i)
		steps = append(steps, Step{Kind: StepSeal}, Step{Kind: StepRun})
		put(2*i + 1)
		put(2*i + 1)
		steps = append(steps, Step{Kind: StepFlush}, Step{Kind: StepRun}, Step{Kind: StepFlush}, Step{Kind: StepTrim})
		steps = append(steps, Step{Kind: StepCompact}, Step{Kind: StepRun}, Step{Kind: StepCompact}, Step{Kind: StepRun},
			Step{Kind: StepCompact}, Step{Kind: StepCompact})
	}
	return steps
}

// TestCrashPoints crashes at every file system operation of the scripts.
func TestCrashPoints(t *testing.T) {
	stride := int64(1)
	if testing.Short() || raceDetector {
		stride = 13
	}
	for _, script := range crashScripts() {
		t.Run(script.name, func(t *testing.T) {
			t.Parallel()
			crashEverywhere(t, script, stride)
		})
	}
}

func crashEverywhere(t *testing.T, script crashScript, stride int64) {
	mem := vfs.NewMem()
	var p *Player
	points, clones := int64(0), 0
	crash := func(op vfs.Op) {
		// Operations that change nothing stand for the state before the next one that does.
		if !op.Kind.Mutates() || op.N%stride != 0 {
			return
		}
		points++
		for _, s := range survivals(op.N, 5) {
			name := fmt.Sprintf("%s/%d/%s", script.name, op.N, s.name)
			if !wanted(name) {
				continue
			}
			clones++
			if err := p.survives(mem.CrashClone(s.opts)); err != nil {
				failCase(t, name, fmt.Errorf("crash before %v: %w", op, err))
			}
		}
	}
	o := smallOptions(vfs.NewInject(mem, vfs.OnOp(crash)), script.method)
	o.WAL.FileBytes = script.fileBytes
	p = NewPlayer(o)
	err := p.Open()
	if err == nil {
		err = p.Play(script.steps)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Model.Check(p.Stack.Ledger(), p.Model.Size()); err != nil {
		t.Fatal(err)
	}
	m := p.Model
	if first := p.Stack.Log().FirstIndex(); m.recorded == 0 || m.Merged < 2 || first == 1 {
		t.Fatalf("the script merges %d times, its log begins at %d: too little to crash in", m.Merged, first)
	}
	if testing.Verbose() {
		t.Logf("%d crash points, %d states of the disk, %d entries", points, clones, p.Model.Size())
	}
	if err := p.Stack.Close(); err != nil {
		t.Fatal(err)
	}
}
