package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// largeValues writes some values that get blocks of their own: the first ones into segments, the last ones into the log
// alone. Half of each compresses.
func largeValues(t *testing.T) (*Player, *vfs.Mem) {
	mem := vfs.NewMem()
	p := NewPlayer(damageOptions(mem))
	err := p.Open()
	g := generator{r: rand.New(rand.NewPCG(9, 7)), sizes: Sizes{Small: 50, Large: 66 << 10, Every: 2}}
	for i := 0; i < 8 && err == nil; i++ {
		steps := []Step{{Kind: StepWrite, Write: &ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut,
			Key: fmt.Appendf(nil, "k/%d", i), Value: g.value(i)}}}}, {Kind: StepRun}}
		if i == 5 {
			steps = append(steps, Step{Kind: StepSeal}, Step{Kind: StepRun}, Step{Kind: StepFlush}, Step{Kind: StepRun},
				Step{Kind: StepFlush}, Step{Kind: StepTrim})
		}
		err = p.Play(steps)
	}
	if err != nil {
		t.Fatal(err)
	}
	if m := p.Stack.Ledger().Manifest(); len(m.Segments) == 0 || m.TreeSize+2 > p.Model.Size() {
		t.Fatalf("%d segments hold %d of %d entries", len(m.Segments), m.TreeSize, p.Model.Size())
	}
	if err := p.Stack.Close(); err != nil {
		t.Fatal(err)
	}
	return p, mem
}

// TestFlippedBitsOfLargeValues flips bits all over files that are mostly large values, the blocks that such a value is cut
// into and their heads: what is read is what was written, or names the file.
func TestFlippedBitsOfLargeValues(t *testing.T) {
	stride := int64(353)
	if testing.Short() || raceDetector {
		stride = 3533
	}
	p, mem := largeValues(t)
	flips, refused := 0, 0
	for _, file := range files(t, mem, "data") {
		info, err := mem.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		for off := int64(0); off < info.Size; off += stride {
			name := fmt.Sprintf("%s/%d", file, off)
			if !wanted(name) {
				continue
			}
			flips++
			r, err := p.readDamaged(mem, file, off)
			if err != nil {
				failCase(t, name, fmt.Errorf("bit flipped in byte %d of %s: %w", off, file, err))
			}
			if r {
				refused++
			}
		}
	}
	if testing.Verbose() {
		t.Logf("%d damaged bytes, %d refused at the start", flips, refused)
	}
}

// TestLargeValuesSurvive cuts the power at calls that write, seal, flush and merge large values.
func TestLargeValuesSurvive(t *testing.T) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 5<<9)
	var steps []Step
	for i := range 6 {
		steps = append(steps, Step{Kind: StepWrite, Write: &ledger.Command{Ops: []ledger.WriteOp{
			{Op: tlog.OpPut, Key: fmt.Appendf(nil, "small/%d", i), Value: value[:i*7]},
			{Op: tlog.OpPut, Key: []byte("large"), Value: value[:len(value)-i]}}}}, Step{Kind: StepRun})
		steps = append(steps, Step{Kind: StepSeal}, Step{Kind: StepRun}, Step{Kind: StepFlush}, Step{Kind: StepPrepare},
			Step{Kind: StepRun}, Step{Kind: StepFlush}, Step{Kind: StepTrim}, Step{Kind: StepCompact}, Step{Kind: StepRun},
			Step{Kind: StepCompact}, Step{Kind: StepRun}, Step{Kind: StepCompact}, Step{Kind: StepCompact})
	}
	stride := int64(2)
	if testing.Short() || raceDetector {
		stride = 11
	}
	for _, s := range crashScripts()[:2] {
		s.name, s.steps = "large-"+s.name, steps
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			crashEverywhere(t, s, stride)
		})
	}
}
