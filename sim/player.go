package sim

import (
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
)

// Player plays a script on a stack and keeps the model of it, of everything that was proposed and of how much of that
// was acknowledged. It outlives the stacks it opens, as clients outlive a node.
type Player struct {
	Options Options
	Model   *Model
	Stack   *Stack
	Acked   uint64 // entries that were acknowledged, or stand before one that was

	waiting []Outcome // of what is proposed and not applied
	wrong   error     // the first answer that was not the model's
}

// NewPlayer makes a player of a new ledger.
func NewPlayer(o Options) *Player {
	p := &Player{Options: o, Model: NewModel()}
	if p.Options.Clock == nil {
		p.Options.Clock = &Clock{}
	}
	p.Options.Proposed, p.Options.Applied = p.proposed, p.applied
	return p
}

// Open opens the stack and makes it leader. The player must not have proposed anything yet.
func (p *Player) Open() (err error) {
	if p.Stack, err = OpenStack(p.Options); err != nil {
		return err
	}
	return p.Stack.Run()
}

func (p *Player) proposed(x Proposal) {
	out, err := p.Model.Apply(x)
	if err != nil && p.wrong == nil {
		p.wrong = err
	}
	p.waiting = append(p.waiting, out)
}

// applied compares an answer with the model's. Here a client learns of its write.
func (p *Player) applied(at raft.Position, r ledger.Result) {
	if len(p.waiting) == 0 {
		p.wrong = fmt.Errorf("entry %d of the log was applied, nothing was proposed there", at.Index)
		return
	}
	want := p.waiting[0]
	p.waiting = p.waiting[1:]
	rec := r.Receipt
	same := want.Err == (r.Err != nil)
	if want.Count > 0 && !want.Err { // a client's write
		same = same && rec.FirstSeq == want.First && rec.Count == want.Count && rec.Time == want.Time &&
			rec.LeafHash == p.Model.entries[want.First].Leaf
	}
	if !same && p.wrong == nil {
		p.wrong = fmt.Errorf("entry %d of the log gave %+v, not %+v", at.Index, r, want)
	}
	p.Acked = want.Size
}

// ErrWrong is in errors of Play that tell of a wrong answer, which no failure of the disk excuses.
var ErrWrong = errors.New("sim: wrong answer")

// Do plays one step. Wants of the ledger are proposed in StepFlush, the one that makes new ones.
func (p *Player) Do(step Step) error {
	var err error
	switch step.Kind {
	case StepWrite:
		_, err = p.Stack.Write(step.Write)
	case StepSeal:
		_, err = p.Stack.Seal()
	case StepRun:
		err = p.Stack.Run()
	case StepFlush:
		if _, err = p.Stack.Flush(); err == nil {
			err = p.Stack.Wants()
		}
	case StepTrim:
		_, err = p.Stack.Trim()
	case StepPrepare:
		err = p.Stack.Prepare()
	default:
		return fmt.Errorf("sim: unknown step %d", step.Kind)
	}
	if p.wrong != nil {
		return fmt.Errorf("%w: %w", ErrWrong, p.wrong)
	}
	if err != nil {
		return fmt.Errorf("%v: %w", step.Kind, err)
	}
	return nil
}

// Play plays all steps.
func (p *Player) Play(steps []Step) error {
	for i, step := range steps {
		if err := p.Do(step); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}
