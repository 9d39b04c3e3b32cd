package wal

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// history drives a log through a script and knows what must be found after a crash at any moment: the state that was
// acknowledged, or the one that the call in progress leads to.
type history struct {
	opts   Options
	log    *Log
	acked  model
	inwork model
	rand   *rand.Rand
	script string // what to do, a letter each: append, trim, prepare, reset, close; by chance when it is used up
}

func newHistory(fs vfs.FS, m AppendMethod, seed uint64) *history {
	return &history{
		opts: Options{FS: fs, Dir: testDir, FileBytes: 4096, Method: m},
		rand: rand.New(rand.NewPCG(seed, 1)),
	}
}

// step does one thing and returns its error. What it means to do is in inwork before it begins.
func (h *history) step() error {
	h.inwork = h.acked
	if h.log == nil {
		l, err := Open(h.opts)
		if err != nil {
			return err
		}
		h.log = l
		return h.acked.check(l)
	}
	err := h.change()
	if err == nil {
		h.acked = h.inwork
	}
	return err
}

func (h *history) change() error {
	m := &h.inwork
	if h.script == "" {
		h.script = "aaaaaaaaaaaaatttprcc"[h.rand.IntN(20):][:1]
	}
	do := h.script[0]
	h.script = h.script[1:]
	switch do {
	case 'a':
		var hs *raft.HardState
		if h.rand.IntN(3) == 0 {
			hs = &raft.HardState{Term: m.hard.Term + 1, Vote: 1, Commit: m.last()}
		}
		index := m.last() + 1
		if h.rand.IntN(5) == 0 && h.log.FirstIndex() < m.last() {
			index = max(h.log.FirstIndex(), m.last()-2)
		}
		term := max(m.term(m.last()), m.hard.Term) + uint64(h.rand.IntN(2))
		size := []int{5, 60, 300, 700, 1500, 9000}[h.rand.IntN(6)]
		entries := run(index, h.rand.IntN(4), term, size)
		m.append(hs, entries)
		return h.log.Append(hs, entries)
	case 't':
		to := max(m.last(), 3) - 3
		m.trimmed = max(m.trimmed, to)
		return h.log.Trim(to)
	case 'p':
		return h.log.Prepare()
	case 'r':
		index := m.last() + uint64(h.rand.IntN(3))
		m.hard.Term, m.hard.Vote = m.hard.Term+1, 0
		m.entries, m.base, m.trimmed = nil, index, 0
		return h.log.Reset(index, m.hard.Term, m.hard)
	default:
		l := h.log
		h.log = nil
		return l.Close()
	}
}

// recovered opens what a crash left and says how it differs from what must be there.
func (h *history) recovered(fs vfs.FS) (*Log, *model, error) {
	opts := h.opts
	opts.FS = fs
	l, err := Open(opts)
	if err != nil {
		return nil, nil, fmt.Errorf("refused to start after a crash: %w", err)
	}
	// A trim in progress may have let go what was acknowledged, as it was told to.
	acked := h.acked
	if h.inwork.base == acked.base {
		acked.trimmed = h.inwork.trimmed
	}
	errAcked := acked.check(l)
	if errAcked == nil {
		return l, &acked, nil
	}
	inwork := h.inwork
	if err := inwork.check(l); err != nil {
		return nil, nil, fmt.Errorf("neither what was acknowledged (%v) nor what was in work (%v)", errAcked, err)
	}
	return l, &inwork, nil
}

// goOn appends to a recovered log, crashes again and looks once more: bytes of a torn batch must not come back.
func (h *history) goOn(l *Log, m *model, mem *vfs.Mem, seed uint64) error {
	entries := run(m.last()+1, 2, max(m.term(m.last()), m.hard.Term), 50+int(seed%400))
	if err := l.Append(nil, entries); err != nil {
		return fmt.Errorf("append after recovery: %w", err)
	}
	m.append(nil, entries)
	again := mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(seed, 2))})
	opts := h.opts
	opts.FS = again
	l, err := Open(opts)
	if err != nil {
		return fmt.Errorf("refused to start after a second crash: %w", err)
	}
	if err := m.check(l); err != nil {
		return fmt.Errorf("after a second crash: %w", err)
	}
	return nil
}

func (h *history) survive(mem *vfs.Mem, seed uint64) error {
	for k := range uint64(6) {
		keep := vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(seed, k))}
		switch k {
		case 0:
			keep.Keep = vfs.KeepNone
		case 1:
			keep.Keep = vfs.KeepAll
		}
		left := mem.CrashClone(keep)
		l, m, err := h.recovered(left)
		if err == nil {
			err = h.goOn(l, m, left, seed)
		}
		if err != nil {
			return fmt.Errorf("keeping %d: %w", k, err)
		}
	}
	return nil
}

func TestCrashAtEveryOperation(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		for seed := range uint64(3) {
			mem := vfs.NewMem()
			var h *history
			n := uint64(0)
			fs := vfs.NewInject(mem, vfs.OnOp(func(op vfs.Op) {
				if n++; !op.Kind.Mutates() {
					return
				}
				if err := h.survive(mem, n); err != nil {
					t.Fatalf("seed %d, crash before %v: %v", seed, op, err)
				}
			}))
			h = newHistory(fs, m, seed)
			for i := range 60 {
				if err := h.step(); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, i, err)
				}
				if err := h.survive(mem, n<<32); err != nil {
					t.Fatalf("seed %d, crash after step %d: %v", seed, i, err)
				}
			}
		}
	})
}

// TestCrashInRecovery crashes inside Open, which must be as safe as anything else.
func TestCrashInRecovery(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		for seed := range uint64(20) {
			mem := vfs.NewMem()
			h := newHistory(mem, m, seed)
			for range 25 {
				if err := h.step(); err != nil {
					t.Fatal(err)
				}
			}
			left := mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(seed, 3))})
			n := seed << 16
			inject := vfs.NewInject(left, vfs.OnOp(func(op vfs.Op) {
				if n++; !op.Kind.Mutates() {
					return
				}
				if err := h.survive(left, n); err != nil {
					t.Fatalf("seed %d, crash in Open before %v: %v", seed, op, err)
				}
			}))
			if _, _, err := h.recovered(inject); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	})
}

// TestKillThenCrash ends the process at every operation, which leaves its unsynced bytes in the page cache, opens the
// log on them, and then cuts the power: what Open served must be there still.
func TestKillThenCrash(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		for n := int64(0); ; n++ {
			mem := vfs.NewMem()
			fault := vfs.FailFrom(n, nil)
			if n%3 == 1 {
				fault.Persisted()
			} else if n%3 == 2 {
				fault.ShortWrite(700)
			}
			h := newHistory(vfs.NewInject(mem, fault.Hook), m, 7)
			h.script = "aaapaaataacaraatpac"
			for h.script != "" && fault.Fired() == 0 {
				if err := h.step(); err != nil && fault.Fired() == 0 {
					t.Fatal(err)
				}
			}
			if fault.Fired() == 0 {
				return
			}
			_, served, err := h.recovered(mem)
			if err != nil {
				t.Fatalf("killed at call %d: %v", n, err)
			}
			h.acked, h.inwork = *served, *served
			if err := h.survive(mem, uint64(n)); err != nil {
				t.Fatalf("killed at call %d, then a power cut: %v", n, err)
			}
		}
	})
}
