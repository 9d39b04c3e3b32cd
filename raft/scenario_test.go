package raft

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write what the scenarios answer into testdata, to be reviewed")

// TestScenarios plays testdata/*.txt. A file is a list of steps: comment lines, one command, a line of dashes, and what
// the command answered. testdata/README.md explains the commands.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, file) })
	}
}

func playFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &scenario{nodes: map[uint64]*testNode{}}
	var out []string
	for step := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		head, want, isStep := strings.Cut(step+"\n", "----\n")
		if !isStep {
			out = append(out, step)
			continue
		}
		lines := strings.Split(strings.TrimSpace(head), "\n")
		got := s.play(lines[len(lines)-1])
		out = append(out, strings.TrimRight(head+"----\n"+got, "\n"))
		if strings.TrimSpace(got) != strings.TrimSpace(want) && !*rewrite {
			t.Fatalf("%s\nwant:\n%s\ngot:\n%s", head, want, got)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// scenario is a cluster whose every move is scripted: nothing is written, applied or delivered unless a command says so.
type scenario struct {
	ids   []uint64
	nodes map[uint64]*testNode
	net   []Message
	out   strings.Builder
}

func (s *scenario) play(line string) string {
	s.out.Reset()
	if err := s.run(strings.Fields(line)); err != nil {
		fmt.Fprintf(&s.out, "error: %v\n", err)
	}
	if s.out.Len() == 0 {
		return "ok"
	}
	return s.out.String()
}

func (s *scenario) run(args []string) error {
	cmd, args := args[0], args[1:]
	switch cmd {
	case "cluster":
		return s.cluster(args)
	case "deliver":
		return s.deliver(args)
	case "drop":
		s.net = slices.DeleteFunc(s.net, func(m Message) bool { return onRoute(m, args) })
		return nil
	case "settle":
		return s.settle()
	case "lapse":
		for _, a := range args {
			n := s.nodes[uint64(number([]string{a}, 0))]
			n.core.elapsed = n.core.cfg.ElectionTicks
		}
		return nil
	}
	if len(args) == 0 {
		return fmt.Errorf("%s: which node?", cmd)
	}
	id, err := strconv.ParseUint(args[0], 10, 64)
	n := s.nodes[id]
	if err != nil || n == nil {
		return fmt.Errorf("%s: no node %s", cmd, args[0])
	}
	return s.runOn(cmd, n, args[1:])
}

func (s *scenario) runOn(cmd string, n *testNode, args []string) error {
	switch cmd {
	case "tick":
		for range number(args, 1) {
			if err := n.core.Tick(); err != nil {
				return err
			}
		}
	case "campaign":
		return n.core.Campaign()
	case "propose":
		var cmds [][]byte
		for _, a := range args {
			cmds = append(cmds, []byte(a))
		}
		p, err := n.core.Propose(cmds)
		if err == nil {
			fmt.Fprintf(&s.out, "from %d/%d\n", p.Index, p.Term)
		}
		return err
	case "read":
		return n.core.ReadIndex(uint64(number(args, 1)))
	case "ready":
		return s.ready(n)
	case "sync":
		return s.sync(n, number(args, len(n.queue)))
	case "apply":
		return n.apply(n.handed())
	case "compact":
		return n.snapshot(uint64(number(args, 0)))
	case "crash":
		return n.crash(number(args, 0))
	case "status":
		st := n.core.Status()
		fmt.Fprintf(&s.out, "%s, term %d, leader %d; last %d, durable %d, commit %d, applied %d\n",
			st.Role, st.Term, st.Leader, st.Last, st.Durable, st.Commit, st.Applied)
		for _, p := range st.Peers {
			fmt.Fprintf(&s.out, "peer %d: match %d, next %d\n", p.ID, p.Match, p.Next)
		}
	default:
		return fmt.Errorf("unknown command %s", cmd)
	}
	return nil
}

func number(args []string, otherwise int) int {
	if len(args) == 0 {
		return otherwise
	}
	v, err := strconv.Atoi(args[0])
	if err != nil {
		panic("scenario: not a number: " + args[0])
	}
	return v
}

// cluster makes the nodes: ids, then name=value for bounds of Config.
func (s *scenario) cluster(args []string) error {
	cfg := Config{ClusterID: testCluster, Seed: 1}
	for _, a := range args {
		name, value, isOption := strings.Cut(a, "=")
		v, err := strconv.ParseUint(map[bool]string{true: value, false: a}[isOption], 10, 64)
		if err != nil {
			return err
		}
		switch name {
		case "uncommitted":
			cfg.MaxUncommittedBytes = v
		case "committed":
			cfg.MaxCommittedBytes = v
		case "applying":
			cfg.MaxApplyingBytes = v
		default:
			s.ids = append(s.ids, v)
		}
	}
	members, err := NewMembership(voters(s.ids...)...)
	if err != nil {
		return err
	}
	for _, id := range s.ids {
		cfg.ID = id
		if s.nodes[id], err = newTestNode(cfg, members); err != nil {
			return err
		}
	}
	return nil
}

func (s *scenario) ready(n *testNode) error {
	if !n.core.HasReady() {
		s.out.WriteString("nothing\n")
		return nil
	}
	rd, err := n.ready()
	if err != nil {
		return err
	}
	s.out.WriteString(describeReady(rd))
	s.net = append(s.net, rd.Messages...)
	return nil
}

func (s *scenario) sync(n *testNode, k int) error {
	if k == 0 {
		return nil
	}
	if k > len(n.queue) {
		return fmt.Errorf("%d readys are queued", len(n.queue))
	}
	msgs, err := n.sync(k)
	for _, m := range msgs {
		fmt.Fprintf(&s.out, "sends %s\n", describeMessage(m))
	}
	s.net = append(s.net, msgs...)
	return err
}

// onRoute says whether the message travels on a route like 1->2, on 1->, on ->2, or on none named, which is any.
func onRoute(m Message, args []string) bool {
	if len(args) == 0 {
		return true
	}
	from, to, _ := strings.Cut(args[0], "->")
	return (from == "" || from == fmt.Sprint(m.From)) && (to == "" || to == fmt.Sprint(m.To))
}

func (s *scenario) deliver(args []string) error {
	var stay, now []Message
	for _, m := range s.net {
		if onRoute(m, args) {
			now = append(now, m)
		} else {
			stay = append(stay, m)
		}
	}
	s.net = stay
	for _, m := range now {
		fmt.Fprintln(&s.out, describeMessage(m))
		n := s.nodes[m.To]
		if err := n.core.Step(m); errors.Is(err, ErrRefused) || errors.Is(err, ErrUnsupported) {
			fmt.Fprintf(&s.out, "  %v\n", err)
		} else if err != nil {
			return err
		}
		if err := n.observe(); err != nil {
			return err
		}
	}
	return nil
}

// settle lets everything run without a tick until nothing moves, and tells only how the nodes stand.
func (s *scenario) settle() error {
	for moved := true; moved; {
		moved = false
		for _, id := range s.ids {
			n := s.nodes[id]
			for n.core.HasReady() {
				moved = true
				if err := s.ready(n); err != nil {
					return err
				}
			}
			if err := errors.Join(s.sync(n, len(n.queue)), n.apply(n.handed())); err != nil {
				return err
			}
		}
		moved = moved || len(s.net) > 0
		if err := s.deliver(nil); err != nil {
			return err
		}
	}
	s.out.Reset()
	for _, id := range s.ids {
		st := s.nodes[id].core.Status()
		fmt.Fprintf(&s.out, "node %d: %s, term %d; last %d, commit %d, applied %d\n",
			id, st.Role, st.Term, st.Last, st.Commit, st.Applied)
	}
	return nil
}
