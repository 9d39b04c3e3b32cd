package sim

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// faultSizes have small values: a large one would need no other operations.
var faultSizes = Sizes{Small: 500, Large: 20 << 10, Every: 15}

const faultOps = 60

// failure is one way in which an operation fails.
type failure struct {
	name    string
	applies func(vfs.OpKind) bool
	make    func(n int64) *vfs.Fault
}

func always(vfs.OpKind) bool { return true }

func onWrites(k vfs.OpKind) bool { return k == vfs.OpWriteAt }

func failures() []failure {
	return []failure{
		{"once", always, func(n int64) *vfs.Fault { return vfs.FailOnce(n, nil) }},
		{"forever", always, func(n int64) *vfs.Fault { return vfs.FailFrom(n, nil) }},
		{"once-done", vfs.OpKind.Mutates, func(n int64) *vfs.Fault { return vfs.FailOnce(n, nil).Persisted() }},
		{"forever-done", vfs.OpKind.Mutates, func(n int64) *vfs.Fault { return vfs.FailFrom(n, nil).Persisted() }},
		{"once-short", onWrites, func(n int64) *vfs.Fault { return vfs.FailOnce(n, nil).ShortWrite(700) }},
		{"forever-short", onWrites, func(n int64) *vfs.Fault { return vfs.FailFrom(n, nil).ShortWrite(16) }},
		{"once-full", always, func(n int64) *vfs.Fault { return vfs.FailOnce(n, unix.ENOSPC) }},
		{"forever-full", always, func(n int64) *vfs.Fault { return vfs.FailFrom(n, unix.ENOSPC) }},
	}
}

// TestFaults fails every call of a script, once and from there on, in each way that its kind can fail.
func TestFaults(t *testing.T) {
	stride := 1
	if testing.Short() || raceDetector {
		stride = 11
	}
	for _, method := range []wal.AppendMethod{wal.ByPwrite, wal.ByStores} {
		t.Run(method.String(), func(t *testing.T) {
			t.Parallel()
			ops := operations(t, method)
			cases := 0
			for n := 0; n < len(ops); n += stride {
				for _, f := range failures() {
					name := fmt.Sprintf("%v/%d/%s", method, n, f.name)
					if !f.applies(ops[n].Kind) || !wanted(name) {
						continue
					}
					cases++
					if err := playWithFault(method, f.make(int64(n))); err != nil {
						failCase(t, name, fmt.Errorf("%v fails %s: %w", ops[n], f.name, err))
					}
				}
			}
			if testing.Verbose() {
				t.Logf("%d operations, %d failures", len(ops), cases)
			}
		})
	}
}

// operations lists what a script does when nothing fails.
func operations(t *testing.T, method wal.AppendMethod) (ops []vfs.Op) {
	note := vfs.OnOp(func(op vfs.Op) { ops = append(ops, op) })
	p := NewPlayer(smallOptions(vfs.NewInject(vfs.NewMem(), note), method))
	err := p.Open()
	if err == nil {
		err = p.Play(Script(2, faultOps, faultSizes))
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, first := len(p.Stack.Ledger().Manifest().Segments), p.Stack.Log().FirstIndex(); n < 2 || first == 1 {
		t.Fatalf("the script makes %d segments, its log begins at %d: too little to fail in", n, first)
	}
	if err := p.Stack.Close(); err != nil {
		t.Fatal(err)
	}
	return ops
}

// playWithFault plays a script as far as a node would, and looks at what is durable then.
func playWithFault(method wal.AppendMethod, fault *vfs.Fault) error {
	mem := vfs.NewMem()
	looking := false // at what the stack answers: a full disk can be read
	p := NewPlayer(smallOptions(vfs.NewInject(mem, func(op vfs.Op) vfs.Decision {
		if looking {
			return vfs.Decision{}
		}
		return fault.Hook(op)
	}), method))
	ended := p.Open()
	if ended == nil {
		ended = p.playOn(Script(2, faultOps, faultSizes))
	}
	switch {
	case errors.Is(ended, ErrWrong):
		return ended
	case ended == nil && p.Acked != p.Model.Size():
		// The only writes that wait are those that wait for space.
		if err := p.Stack.Log().Err(); err != nil {
			return fmt.Errorf("the script came to its end with a poisoned log: %w", err)
		}
	case ended != nil && !errors.Is(ended, vfs.ErrInjected) && !errors.Is(ended, unix.ENOSPC):
		return fmt.Errorf("the error does not name its cause: %w", ended)
	}
	for _, s := range survivals(0, 1) {
		if err := p.survives(mem.CrashClone(s.opts)); err != nil {
			return fmt.Errorf("the stack ended with %v, and keeping %s: %w", ended, s.name, err)
		}
	}
	if p.Stack != nil {
		if ended == nil {
			looking = true
			if err := p.Model.Check(p.Stack.Ledger(), p.Acked); err != nil {
				return fmt.Errorf("the stack went on, and: %w", err)
			}
		}
		looking = false
		_ = p.Stack.Close() // it may meet the fault again
	}
	if fault.Fired() == 0 {
		return errors.New("the fault did not come to pass")
	}
	return nil
}

// playOn plays all steps, over failures in the background, until an error ends the node.
func (p *Player) playOn(steps []Step) error {
	for _, step := range steps {
		if err := p.Do(step); err != nil && !errors.Is(err, ErrBackground) {
			return err
		}
		if err := p.Stack.Log().Err(); err != nil {
			return err
		}
	}
	return nil
}

// TestFullDisk fills the disk at every step of a script and makes space some steps later: the stack refuses, or goes on
// with the space it has, and at last everything is there.
func TestFullDisk(t *testing.T) {
	stride := 1
	if testing.Short() || raceDetector {
		stride = 9
	}
	script := Script(3, faultOps, faultSizes)
	for _, method := range []wal.AppendMethod{wal.ByPwrite, wal.ByStores} {
		refused := 0
		for at := 0; at < len(script); at += stride {
			for _, free := range []int64{0, 6 << 10, 40 << 10} {
				name := fmt.Sprintf("%v/%d/%d", method, at, free)
				if !wanted(name) {
					continue
				}
				n, err := playFull(method, script, at, free)
				if err != nil {
					failCase(t, name, fmt.Errorf("disk full at step %d with %d bytes left: %w", at, free, err))
				}
				refused += n
			}
		}
		if refused == 0 && *oneCase == "" {
			t.Errorf("%v: nothing was ever refused: the disk was not full", method)
		}
	}
}

// playFull leaves free bytes on the disk from step at on, for 40 steps, and returns how many steps were refused.
func playFull(method wal.AppendMethod, script []Step, at int, free int64) (refused int, err error) {
	mem := vfs.NewMem()
	p := NewPlayer(smallOptions(mem, method))
	if err := p.Open(); err != nil {
		return 0, err
	}
	for i, step := range script {
		switch i {
		case at:
			mem.SetLimit(max(1, mem.Used()+free))
		case at + 40:
			mem.SetLimit(0)
		}
		err := p.Do(step)
		if errors.Is(err, ErrBackground) && vfs.IsNoSpace(err) {
			refused++
		} else if err != nil {
			return refused, fmt.Errorf("step %d: %w", i, err)
		}
		if err := p.Stack.Log().Err(); err != nil {
			return refused, fmt.Errorf("step %d: %w", i, err)
		}
	}
	for _, s := range survivals(int64(at), 1) {
		left := mem.CrashClone(s.opts)
		left.SetLimit(0)
		if err := p.survives(left); err != nil {
			return refused, fmt.Errorf("keeping %s: %w", s.name, err)
		}
	}
	mem.SetLimit(0)
	if err := p.Stack.Settle(); err != nil {
		return refused, fmt.Errorf("with space again: %w", err)
	}
	if p.Acked != p.Model.Size() {
		return refused, fmt.Errorf("%d of %d entries were acknowledged", p.Acked, p.Model.Size())
	}
	return refused, p.Model.Check(p.Stack.Ledger(), p.Acked)
}
