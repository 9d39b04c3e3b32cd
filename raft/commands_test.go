package raft

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The commands of the scenarios, which testdata/README.md explains.

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
	case "pass":
		return s.pass(number(args, 1))
	case "lapse":
		for _, a := range args {
			n := s.nodes[uint64(number([]string{a}, 0))]
			n.core.elapsed = n.core.cfg.ElectionTicks
		}
		return nil
	case "mend":
		clear(s.off)
		return nil
	}
	if len(args) == 0 {
		return fmt.Errorf("%s: which node?", cmd)
	}
	id, err := strconv.ParseUint(args[0], 10, 64)
	if err == nil && cmd == "waiting" {
		return s.add(Config{ID: id, ClusterID: testCluster, Instance: id, Seed: id}, Membership{})
	}
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
		return s.from(n.core.Propose(cmds))
	case "members":
		return s.members(n, args)
	case "transfer":
		return n.core.Transfer(uint64(number(args, 0)))
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
	case "restore":
		return failure(n.core.Restore(s.nodes[uint64(number(args, 0))].snap))
	case "crash":
		return n.crash(number(args, 0))
	case "wipe":
		n.cfg.Instance += 100
		var founders []uint64
		for _, mb := range n.snap.Members.Members {
			founders = append(founders, mb.ID)
		}
		n.disk, n.snap = &testDisk{}, Snapshot{Members: Membership{Members: voters(founders...)}}
		return n.start()
	case "cut":
		s.off[n.cfg.ID] = true
		s.net = slices.DeleteFunc(s.net, func(m Message) bool { return m.From == n.cfg.ID || m.To == n.cfg.ID })
	case "given":
		return s.given(n, args)
	case "status":
		s.status(n.core.Status())
	case "who":
		s.who(n.core.Status())
	case "log":
		s.log(n)
	default:
		return fmt.Errorf("unknown command %s", cmd)
	}
	return nil
}

func (s *scenario) from(p Position, err error) error {
	if err == nil {
		fmt.Fprintf(&s.out, "from %d/%d\n", p.Index, p.Term)
	}
	return err
}

func (s *scenario) status(st Status) {
	fmt.Fprintf(&s.out, "%s, term %d, leader %d; last %d, durable %d, commit %d, applied %d\n",
		st.Role, st.Term, st.Leader, st.Last, st.Durable, st.Commit, st.Applied)
	for _, p := range st.Peers {
		fmt.Fprintf(&s.out, "peer %d: %s, match %d, next %d", p.ID, p.State, p.Match, p.Next)
		if p.Inflight > 0 {
			fmt.Fprintf(&s.out, ", %d under way", p.Inflight)
		}
		fmt.Fprintln(&s.out)
	}
}

func (s *scenario) who(st Status) {
	fmt.Fprintf(&s.out, "%s, by entry %d", describeMembers(st.Members), st.MembersIndex)
	if st.MembersPending {
		s.out.WriteString(", pending")
	}
	if st.Removed {
		s.out.WriteString("; removed")
	}
	fmt.Fprintln(&s.out)
}

// log shows the terms of a node's entries.
func (s *scenario) log(n *testNode) {
	var terms []string
	for i := n.core.log.first(); i <= n.core.log.last(); i++ {
		t, err := n.core.log.term(i)
		if err != nil {
			terms = append(terms, err.Error())
		}
		terms = append(terms, fmt.Sprint(t))
	}
	fmt.Fprintf(&s.out, "from %d: %s\n", n.core.log.first(), strings.Join(terms, " "))
}

// given starts a node anew from a log whose entries have the terms named, in the term named last as term=N.
func (s *scenario) given(n *testNode, args []string) error {
	n.disk = &testDisk{}
	for _, a := range args {
		if term, ok := strings.CutPrefix(a, "term="); ok {
			n.disk.hard.Term = uint64(number([]string{term}, 0))
			continue
		}
		i := uint64(len(n.disk.entries)) + 1
		e := Entry{Index: i, Term: uint64(number([]string{a}, 0)), Kind: EntryNormal}
		n.disk.entries = append(n.disk.entries, e)
	}
	return n.start()
}

// pass lets ticks go by for all nodes, with time for everything else between them.
func (s *scenario) pass(ticks int) error {
	for range ticks {
		for _, id := range s.ids {
			if err := s.nodes[id].core.Tick(); err != nil {
				return err
			}
		}
		if err := s.calm(); err != nil {
			return err
		}
	}
	return s.settle()
}

// members proposes a configuration: ids, with another role than voter behind a colon.
func (s *scenario) members(n *testNode, args []string) error {
	roles := map[string]MemberRole{"": Voter, "learner": Learner, "joining": Joining}
	var target Membership
	for _, a := range args {
		id, role, _ := strings.Cut(a, ":")
		mb := Member{ID: uint64(number([]string{id}, 0)), Role: roles[role]}
		if old, ok := n.core.members.Get(mb.ID); ok {
			mb.Instance = old.Instance
		} else {
			mb.Instance = s.nodes[mb.ID].cfg.Instance
		}
		target.Members = append(target.Members, mb)
	}
	return s.from(n.core.ProposeMembers(target))
}

// cluster makes the nodes: ids, then name=value for bounds of Config.
func (s *scenario) cluster(args []string) error {
	cfg := Config{ClusterID: testCluster, Seed: 1}
	known := false
	var ids []uint64
	for _, a := range args {
		name, value, isOption := strings.Cut(a, "=")
		if a == "known" {
			known = true
			continue
		}
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
		case "appends":
			cfg.MaxInflightAppends = int(v)
		default:
			ids = append(ids, v)
		}
	}
	founders := voters(ids...)
	for i := range founders {
		if known {
			founders[i].Instance = founders[i].ID
		}
	}
	for _, id := range ids {
		cfg.ID, cfg.Instance = id, id
		if err := s.add(cfg, Membership{Members: founders}); err != nil {
			return err
		}
	}
	return nil
}

func (s *scenario) add(cfg Config, members Membership) (err error) {
	s.ids = append(s.ids, cfg.ID)
	s.nodes[cfg.ID], err = newTestNode(cfg, members)
	return err
}
