package sim

import (
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
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

var (
	// ErrWrong is in errors of Do that tell of a wrong answer, which no failure of the disk excuses.
	ErrWrong = errors.New("sim: wrong answer")
	// ErrBackground is in errors of Do after which a node goes on: what failed is tried again later.
	ErrBackground = errors.New("sim: background work failed")
)

// Do plays one step. Wants of the ledger are proposed in StepFlush and StepCompact, which make new ones.
func (p *Player) Do(step Step) error {
	err := p.do(step)
	if p.wrong != nil {
		return fmt.Errorf("%w: %w", ErrWrong, p.wrong)
	}
	if err != nil {
		return fmt.Errorf("%v: %w", step.Kind, err)
	}
	return nil
}

func (p *Player) do(step Step) error {
	s := p.Stack
	switch step.Kind {
	case StepWrite:
		_, err := s.Write(step.Write)
		return err
	case StepSeal:
		_, err := s.Seal()
		return err
	case StepRun:
		err := s.Run()
		if err != nil && vfs.IsNoSpace(err) && s.Log().Err() == nil {
			err = fmt.Errorf("%w: %w", ErrBackground, err) // what was to be written waits for space
		}
		return err
	case StepFlush:
		if _, err := s.Flush(); err != nil {
			return fmt.Errorf("%w: %w", ErrBackground, err)
		}
		return s.Wants()
	case StepCompact:
		if _, err := s.Compact(); err != nil {
			return fmt.Errorf("%w: %w", ErrBackground, err)
		}
		return s.Wants()
	case StepTrim:
		if _, err := s.Trim(); err != nil {
			return fmt.Errorf("%w: %w", ErrBackground, err)
		}
		return nil
	case StepPrepare:
		if err := s.Prepare(); err != nil {
			return fmt.Errorf("%w: %w", ErrBackground, err)
		}
		return nil
	}
	return fmt.Errorf("sim: unknown step %d", step.Kind)
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
