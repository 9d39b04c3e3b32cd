package sim

import (
	"fmt"
	"math/rand/v2"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
)

// Step is one operation of a script: a command, a seal, or work in the background that stands in the place of time.
type Step struct {
	Kind  StepKind
	Write *ledger.Command // StepWrite
}

// StepKind says what a step does.
type StepKind uint8

const (
	StepWrite   StepKind = iota + 1
	StepSeal             // seals what is in memory
	StepRun              // makes what was proposed durable as one batch, and applies it
	StepFlush            // one step of flushing, and what it makes the ledger want
	StepTrim             // drops log files
	StepPrepare          // makes a log file ready
	StepCompact          // one step of compaction, and what it makes the ledger want
)

func (k StepKind) String() string {
	return [...]string{"", "write", "seal", "run", "flush", "trim", "prepare", "compact"}[min(k, StepCompact)]
}

// Sizes say how large the values of a script are.
type Sizes struct {
	Small int // most values have up to so many bytes
	Large int // LargeEvery-th writes have so many and some more; 0 for none
	Every int
}

// Script returns n operations that a seed gives: puts, deletes, batches, conditions that hold and that fail, a seal now
// and then. Between them come the steps that move the stack, so that batches of several commands, memtables in every
// state of their flush, and trims show up at all places.
func Script(seed uint64, n int, sizes Sizes) []Step {
	g := generator{r: rand.New(rand.NewPCG(seed, 7)), sizes: sizes}
	var steps []Step
	for i := range n {
		if g.r.IntN(20) == 0 {
			steps = append(steps, Step{Kind: StepSeal})
		} else {
			steps = append(steps, Step{Kind: StepWrite, Write: g.command(i)})
		}
		if g.r.IntN(3) > 0 {
			steps = append(steps, Step{Kind: StepRun})
		}
		for g.r.IntN(3) == 0 {
			steps = append(steps, Step{Kind: StepFlush})
		}
		for g.r.IntN(3) == 0 {
			steps = append(steps, Step{Kind: StepCompact})
		}
		if g.r.IntN(8) == 0 {
			steps = append(steps, Step{Kind: StepTrim})
		}
		if g.r.IntN(16) == 0 {
			steps = append(steps, Step{Kind: StepPrepare})
		}
	}
	return append(steps, Step{Kind: StepRun})
}

type generator struct {
	r     *rand.Rand
	sizes Sizes
}

func (g *generator) command(i int) *ledger.Command {
	cmd := &ledger.Command{Principal: []string{"", "app", "someone"}[g.r.IntN(3)]}
	ops := 1
	if g.r.IntN(8) == 0 {
		ops = 2 + g.r.IntN(4)
	}
	for range ops {
		cmd.Ops = append(cmd.Ops, g.op(i))
	}
	return cmd
}

func (g *generator) op(i int) ledger.WriteOp {
	op := ledger.WriteOp{Op: tlog.OpPut, Key: fmt.Appendf(nil, "k/%02d", g.r.IntN(40))}
	if g.r.IntN(6) == 0 {
		op.Op = tlog.OpDelete
	} else {
		op.ContentType = []string{"", "text/plain"}[g.r.IntN(2)]
		op.Value = g.value(i)
	}
	switch g.r.IntN(8) {
	case 0:
		op.Conditions = []ledger.Condition{{Kind: ledger.IfNoneMatch, Any: true}}
	case 1:
		op.Conditions = []ledger.Condition{{Kind: ledger.IfMatch, Any: true}}
	case 2:
		op.Conditions = []ledger.Condition{{Kind: ledger.IfMatch, Seqs: []uint64{uint64(g.r.IntN(i + 1)), uint64(i)}}}
	}
	return op
}

func (g *generator) value(i int) []byte {
	size := g.r.IntN(g.sizes.Small + 1)
	if g.sizes.Every > 0 && i%g.sizes.Every == g.sizes.Every-1 {
		size = g.sizes.Large + g.r.IntN(g.sizes.Large/16+1)
	}
	b := make([]byte, size)
	for j := range b {
		if j%64 < 32 { // half of it compresses
			b[j] = byte(g.r.Uint32())
		} else {
			b[j] = byte(i)
		}
	}
	return b
}
