package vfs

import (
	"slices"
	"sync/atomic"
)

// Fault is a ready-made hook that fails one operation, or all from one on. It counts only the operations that pass its
// filters, from 0; without filters its count is Op.N. Set it up before its first use.
type Fault struct {
	n       int64
	forever bool
	err     error
	done    bool
	short   int64
	kinds   []OpKind
	named   func(name string) bool

	seen  int64        // operations that passed the filters; guarded by the Inject's lock
	fired atomic.Int64 // operations failed
}

// FailOnce fails the n-th operation; a nil err means ErrInjected.
func FailOnce(n int64, err error) *Fault {
	if err == nil {
		err = ErrInjected
	}
	return &Fault{n: n, err: err}
}

// FailFrom fails the n-th operation and all that follow.
func FailFrom(n int64, err error) *Fault {
	f := FailOnce(n, err)
	f.forever = true
	return f
}

// Kinds lets the fault see these kinds of operations only.
func (f *Fault) Kinds(kinds ...OpKind) *Fault {
	f.kinds = kinds
	return f
}

// Named lets the fault see operations only on names that match says yes to; of a rename, either name counts.
func (f *Fault) Named(match func(name string) bool) *Fault {
	f.named = match
	return f
}

// Persisted makes the fault fail operations after doing them.
func (f *Fault) Persisted() *Fault {
	f.done = true
	return f
}

// ShortWrite makes a failing write put down its first n bytes.
func (f *Fault) ShortWrite(n int64) *Fault {
	f.short = n
	return f
}

// Fired returns how many operations the fault has failed. A test that goes through n = 0, 1, 2, … is through when it
// stays 0.
func (f *Fault) Fired() int64 { return f.fired.Load() }

// Hook is the fault as a Hook: NewInject(inner, fault.Hook).
func (f *Fault) Hook(op Op) Decision {
	if len(f.kinds) > 0 && !slices.Contains(f.kinds, op.Kind) {
		return Decision{}
	}
	if f.named != nil && !f.named(op.Name) && !(op.Kind == OpRename && f.named(op.NewName)) {
		return Decision{}
	}
	n := f.seen
	f.seen++
	if n < f.n || n > f.n && !f.forever {
		return Decision{}
	}
	f.fired.Add(1)
	return Decision{Err: f.err, Done: f.done, Short: f.short}
}

// OnOp is a hook that shows every operation to look and lets it go on. A crash test takes a Mem's CrashClone there, and
// so has the state before each operation.
func OnOp(look func(Op)) Hook {
	return func(op Op) Decision {
		look(op)
		return Decision{}
	}
}

// Hooks is a hook that asks several; all are asked, and the first that fails the operation decides.
func Hooks(hooks ...Hook) Hook {
	return func(op Op) Decision {
		var decision Decision
		for _, h := range hooks {
			if d := h(op); decision.Err == nil {
				decision = d
			}
		}
		return decision
	}
}
