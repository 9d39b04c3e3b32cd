package e2e

import (
	"fmt"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// register is the state of one key: its newest entry.
type register struct {
	seq  int64 // -1 before the first
	live bool
	mark string
}

// registers is the sequential specification of keys: each key is a register whose writes take ever higher seqs.
var registers = porcupine.Model{
	Partition: func(ops []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		for _, op := range ops {
			key := op.Input.(*action).key
			byKey[key] = append(byKey[key], op)
		}
		var out [][]porcupine.Operation
		for _, part := range byKey {
			out = append(out, part)
		}
		return out
	},
	Init: func() any { return register{seq: -1} },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(register), input.(*action), output.(effect))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%s: %+v", input, output) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}

// effect is what an operation did or was told, as far as the model looks at it.
type effect struct {
	status int
	seq    int64
	got    string
}

func step(s register, a *action, e effect) (bool, any) {
	written := e.status == 201
	switch {
	case a.kind == read && e.status == 200:
		return s.live && s.seq == e.seq && s.mark == e.got, s
	case a.kind == read: // 404, with the seq of the tombstone where there is one
		return !s.live && s.seq == e.seq, s
	case a.kind == put && written:
		return e.seq > s.seq, register{e.seq, true, a.mark}
	case a.kind == replace && written:
		return s.live && s.seq == a.match && e.seq > s.seq, register{e.seq, true, a.mark}
	case a.kind == replace: // 412
		return !s.live || s.seq != a.match, s
	case a.kind == deletion && written:
		return s.live && e.seq > s.seq, register{seq: e.seq}
	case a.kind == deletion: // 404
		return !s.live, s
	}
	return false, s
}

// operations are the history as the model reads it. A write with an unclear outcome that stands in the ledger took effect
// at some time after it was sent first; one that does not never will, since the ledger was read at rest.
func (h *history) operations(at map[string]int64) (out []porcupine.Operation, unclear int) {
	for _, a := range h.ops {
		seq, there := at[a.mark]
		switch {
		case a.kind == read && !a.clear:
			continue
		case a.kind == read:
			out = append(out, porcupine.Operation{ClientId: a.client, Input: a, Call: a.last, Return: a.ret,
				Output: effect{a.status, a.seq, a.got}})
		case a.acked():
			call := a.last
			if a.unsure {
				call = a.call // whichever attempt it was
			}
			out = append(out, porcupine.Operation{ClientId: a.client, Input: a, Call: call, Return: a.ret,
				Output: effect{201, a.seq, ""}})
		default:
			if a.clear {
				out = append(out, porcupine.Operation{ClientId: a.client, Input: a, Call: a.last, Return: a.ret,
					Output: effect{a.status, a.seq, ""}})
			}
			if there {
				unclear++
				out = append(out, porcupine.Operation{ClientId: a.client, Input: a, Call: a.call, Return: never,
					Output: effect{201, seq, ""}})
			}
		}
	}
	return out, unclear
}

// check lets porcupine judge the history. It shows what it found where it found something.
func (h *history) check(t *testing.T, at map[string]int64) {
	t.Helper()
	ops, unclear := h.operations(at)
	began := time.Now()
	result, info := porcupine.CheckOperationsVerbose(registers, ops, 5*time.Minute)
	t.Logf("porcupine judged %d operations, %d of them unclear but done, in %v: %s", len(ops), unclear,
		time.Since(began).Round(time.Millisecond), result)
	if result == porcupine.Ok {
		return
	}
	explain(t, ops)
	name := filepath.Join(t.ArtifactDir(), "history.html")
	if err := porcupine.VisualizePath(registers, info, name); err != nil {
		t.Log(err)
	}
	t.Errorf("the history is not linearizable: %s; see %s (kept with -artifacts)", result, name)
}

// explain shows, for each key whose history is wrong, how far its operations can be put in order, and what was under way
// where they cannot.
func explain(t *testing.T, ops []porcupine.Operation) {
	t.Helper()
	one := registers
	one.Partition = nil
	for _, part := range registers.Partition(ops) {
		result, info := porcupine.CheckOperationsVerbose(one, part, time.Minute)
		if result == porcupine.Ok {
			continue
		}
		var longest []porcupine.Operation
		for _, order := range info.PartialLinearizationsOperations()[0] {
			if len(order) > len(longest) {
				longest = order
			}
		}
		placed := make(map[*action]int)
		for _, op := range longest {
			placed[op.Input.(*action)]++
		}
		t.Logf("%s: %d of %d operations can be put in order; the last of them:", part[0].Input.(*action).key, len(longest), len(part))
		for _, op := range longest[max(0, len(longest)-12):] {
			t.Logf("    %v to %v: %s: %+v", time.Duration(op.Call), time.Duration(op.Return), op.Input, op.Output)
		}
		t.Logf("what stands behind them:")
		sort.Slice(part, func(i, j int) bool { return part[i].Call < part[j].Call })
		shown := 0
		for _, op := range part {
			if a := op.Input.(*action); placed[a] > 0 || shown == 12 {
				placed[a]--
				continue
			}
			shown++
			t.Logf("    %v to %v: %s: %+v", time.Duration(op.Call), time.Duration(op.Return), op.Input, op.Output)
		}
	}
}

// TestModel: the model refuses what it should. Without this a check of a history shows nothing.
func TestModel(t *testing.T) {
	write := func(mark string, call, ret, seq int64) porcupine.Operation {
		return porcupine.Operation{Input: &action{kind: put, key: "k", mark: mark}, Call: call, Return: ret, Output: effect{201, seq, ""}}
	}
	see := func(mark string, call, ret, seq int64) porcupine.Operation {
		status := 200
		if mark == "" {
			status = 404
		}
		return porcupine.Operation{Input: &action{kind: read, key: "k"}, Call: call, Return: ret, Output: effect{status, seq, mark}}
	}
	for _, c := range []struct {
		name string
		ops  []porcupine.Operation
		good bool
	}{
		{"a read after a write", []porcupine.Operation{write("a", 1, 2, 0), see("a", 3, 4, 0)}, true},
		{"a stale read", []porcupine.Operation{write("a", 1, 2, 0), write("b", 3, 4, 1), see("a", 5, 6, 0)}, false},
		{"a read beside a write", []porcupine.Operation{write("a", 1, 2, 0), write("b", 3, 6, 1), see("a", 4, 5, 0)}, true},
		{"a value that goes away again", []porcupine.Operation{write("a", 1, 2, 0), write("b", 3, never, 1),
			see("b", 4, 5, 1), see("a", 6, 7, 0)}, false},
		{"a lost write", []porcupine.Operation{write("a", 1, 2, 0), see("", 3, 4, -1)}, false},
		{"seqs against time", []porcupine.Operation{write("a", 1, 2, 5), write("b", 3, 4, 4)}, false},
		{"the right value of another version", []porcupine.Operation{write("a", 1, 2, 0), see("a", 3, 4, 1)}, false},
	} {
		if got := porcupine.CheckOperations(registers, c.ops); got != c.good {
			t.Errorf("%s: %v, want %v", c.name, got, c.good)
		}
	}
}
