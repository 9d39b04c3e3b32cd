package raft

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	s := &scenario{nodes: map[uint64]*testNode{}, off: map[uint64]bool{}}
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

// scenario is a cluster whose every move is scripted: nothing is written, applied or delivered unless a command says
// so.
type scenario struct {
	ids   []uint64
	nodes map[uint64]*testNode
	net   []Message
	off   map[uint64]bool // cut off from the others
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
	s.send(rd.Messages)
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
	s.send(msgs)
	return err
}

// send hands messages to the network, which loses those from and to a node that is cut off.
func (s *scenario) send(msgs []Message) {
	for _, m := range msgs {
		if !s.off[m.From] && !s.off[m.To] {
			s.net = append(s.net, m)
		}
	}
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
	if err := s.calm(); err != nil {
		return err
	}
	s.out.Reset()
	for _, id := range s.ids {
		st := s.nodes[id].core.Status()
		fmt.Fprintf(&s.out, "node %d: %s, term %d; last %d, commit %d, applied %d\n",
			id, st.Role, st.Term, st.Last, st.Commit, st.Applied)
	}
	return nil
}

func (s *scenario) calm() error {
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
	return nil
}
