package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestEveryOperationFails lets the n-th file system call fail, for every n: once and from then on, done and not done.
func TestEveryOperationFails(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		for _, c := range []struct {
			name string
			make func(n int64) *vfs.Fault
		}{
			{"once", func(n int64) *vfs.Fault { return vfs.FailOnce(n, nil) }},
			{"once, persisted", func(n int64) *vfs.Fault { return vfs.FailOnce(n, nil).Persisted() }},
			{"once, half written", func(n int64) *vfs.Fault { return vfs.FailOnce(n, nil).ShortWrite(20) }},
			{"forever", func(n int64) *vfs.Fault { return vfs.FailFrom(n, nil) }},
			{"forever, persisted", func(n int64) *vfs.Fault { return vfs.FailFrom(n, nil).Persisted() }},
			{"forever, half written", func(n int64) *vfs.Fault { return vfs.FailFrom(n, nil).ShortWrite(20) }},
			{"once, no space", func(n int64) *vfs.Fault { return vfs.FailOnce(n, errNoSpace) }},
			{"once, no space, persisted", func(n int64) *vfs.Fault { return vfs.FailOnce(n, errNoSpace).Persisted() }},
		} {
			t.Run(c.name, func(t *testing.T) {
				for n := int64(0); ; n++ {
					fault := c.make(n)
					if err := failAt(m, fault, uint64(n)); err != nil {
						t.Fatalf("call %d: %v", n, err)
					}
					if fault.Fired() == 0 {
						return
					}
				}
			})
		}
	})
}

func failAt(m AppendMethod, fault *vfs.Fault, seed uint64) error {
	mem := vfs.NewMem()
	h := newHistory(vfs.NewInject(mem, fault.Hook), m, 7)
	h.script = "aaapaaataacaraatpac"
	for h.script != "" {
		err := h.step()
		var corrupt *vfs.CorruptError
		if errors.As(err, &corrupt) {
			return fmt.Errorf("a failing call was taken for damage: %w", err)
		}
		if err == nil {
			continue
		}
		if fault.Fired() == 0 {
			return fmt.Errorf("an error that nobody injected: %w", err)
		}
		if h.log != nil && h.log.Err() != nil {
			if !errors.Is(err, ErrPoisoned) && !errors.Is(err, h.log.Err()) {
				return fmt.Errorf("the log is poisoned, the call says %w", err)
			}
			if err := h.log.Append(nil, run(h.acked.last()+1, 1, 99, 1)); err != h.log.Err() {
				return fmt.Errorf("append to a poisoned log: %w", err)
			}
			if err := h.acked.check(h.log); err != nil && h.inwork.base == h.acked.base {
				return fmt.Errorf("a failed append is visible: %w", err)
			}
			break
		}
		if h.log == nil {
			break // Open or Close failed
		}
		// Refused and usable: nothing changed, but for files that a trim let go, or that a reset could not remove.
		if h.inwork.base == h.acked.base {
			h.acked.trimmed = h.inwork.trimmed
		} else if h.acked.check(h.log) != nil {
			h.acked = h.inwork
		}
		if err := h.acked.check(h.log); err != nil {
			return fmt.Errorf("after a refused call: %w", err)
		}
		h.inwork = h.acked
	}
	return h.survive(mem, seed)
}

// TestOpenFails lets every call of an Open after a crash fail; the next Open must find everything.
func TestOpenFails(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		for seed := range uint64(12) {
			mem := vfs.NewMem()
			h := newHistory(mem, m, seed)
			for range 25 {
				if err := h.step(); err != nil {
					t.Fatal(err)
				}
			}
			keep := vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(seed, 3))}
			crashed := mem.CrashClone(keep)
			for n := int64(0); ; n++ {
				left := crashed.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
				fault := vfs.FailOnce(n, nil)
				if n%2 == 1 {
					fault.Persisted()
				}
				opts := h.opts
				opts.FS = vfs.NewInject(left, fault.Hook)
				l, err := Open(opts)
				if fault.Fired() == 0 {
					break
				}
				var corrupt *vfs.CorruptError
				if errors.As(err, &corrupt) {
					t.Fatalf("seed %d, call %d: a failing call was taken for damage: %v", seed, n, err)
				}
				if err == nil {
					l.Close()
				}
				if err := h.survive(left, uint64(n)); err != nil {
					t.Fatalf("seed %d, call %d failed in Open: %v", seed, n, err)
				}
			}
		}
	})
}

// TestTornOrigin tears every write to the origin file while the log is trimmed again and again.
func TestTornOrigin(t *testing.T) {
	for n := int64(0); n < 6; n++ {
		mem := vfs.NewMem()
		origin := func(name string) bool { return name == testDir+"/"+originName }
		fault := vfs.FailOnce(n, nil).Kinds(vfs.OpWriteAt).Named(origin).ShortWrite(20)
		l := open(t, vfs.NewInject(mem, fault.Hook), ByPwrite)
		var want model
		for i := uint64(1); fault.Fired() == 0; i++ {
			batch := run(i, 1, 1, 1500)
			mustAppend(t, l, nil, batch)
			want.append(nil, batch)
			want.trimmed = i
			if err := l.Trim(i); err != nil && fault.Fired() == 0 {
				t.Fatal(err)
			}
		}
		for _, keep := range []vfs.Keep{vfs.KeepAll, vfs.KeepNone} {
			l := open(t, mem.CrashClone(vfs.CrashOptions{Keep: keep}), ByPwrite)
			if err := want.check(l); err != nil {
				t.Fatalf("write %d to the origin torn: %v", n, err)
			}
		}
	}
}

// TestOpenDistrustsTheCache watches the order of the calls by which Open comes to a file's bytes.
func TestOpenDistrustsTheCache(t *testing.T) {
	mem, _ := written(t, ByPwrite, false)
	calls := map[string][]vfs.OpKind{}
	fs := vfs.NewInject(mem, vfs.OnOp(func(op vfs.Op) {
		switch op.Kind {
		case vfs.OpSync, vfs.OpDropCache, vfs.OpMap, vfs.OpReadAt:
			calls[op.Name] = append(calls[op.Name], op.Kind)
		}
	}))
	files := append(logFiles(t, mem), originName)
	open(t, fs, ByPwrite).Close()
	for _, name := range files {
		got := calls[testDir+"/"+name]
		if len(got) < 3 || got[0] != vfs.OpSync || got[1] != vfs.OpDropCache {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestFullDisk fills the disk, goes on as far as it goes, makes space and goes on.
func TestFullDisk(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		mem := vfs.NewMem()
		mem.SetLimit(5 * 4096)
		l := open(t, mem, m)
		var want model
		full := 0
		for i := 0; full < 3; i++ {
			batch := run(want.last()+1, 1, 1, 900)
			err := l.Append(nil, batch)
			if err == nil {
				want.append(nil, batch)
				continue
			}
			if !vfs.IsNoSpace(err) || l.Err() != nil || l.Room() >= BatchBytes(batch) {
				t.Fatalf("append %d: %v, poisoned by %v, room %d", i, err, l.Err(), l.Room())
			}
			if err := l.Prepare(); !vfs.IsNoSpace(err) {
				t.Fatalf("prepare on a full disk: %v", err)
			}
			if err := want.check(l); err != nil {
				t.Fatal(err)
			}
			full++
			if full == 2 { // a full disk opens, for reading and for trimming
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = open(t, mem, m)
				continue
			}
			if err := l.Trim(want.last()); err != nil {
				t.Fatalf("trim on a full disk: %v", err)
			}
			want.trimmed = want.last()
		}
	})
}
