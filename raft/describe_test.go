package raft

import (
	"fmt"
	"strings"
)

// describeReady writes a Ready as the scenarios show it, one line for each part that is there.
func describeReady(rd Ready) string {
	var b strings.Builder
	if s := rd.SoftState; s != nil {
		fmt.Fprintf(&b, "is %s, term %d, leader %d\n", s.Role, s.Term, s.Leader)
	}
	if h := rd.HardState; h != nil {
		fmt.Fprintf(&b, "writes term %d, vote %d, commit %d\n", h.Term, h.Vote, h.Commit)
	}
	if len(rd.Entries) > 0 {
		fmt.Fprintf(&b, "writes %s\n", describeEntries(rd.Entries))
	}
	for _, m := range rd.Messages {
		fmt.Fprintf(&b, "sends %s\n", describeMessage(m))
	}
	for _, m := range rd.AfterSync {
		fmt.Fprintf(&b, "sends after sync %s\n", describeMessage(m))
	}
	if o := rd.Offer; o != nil {
		fmt.Fprintf(&b, "offered by %d: snapshot up to %d/%d\n", o.From, o.Snapshot.Index, o.Snapshot.Term)
	}
	if s := rd.Install; s != nil {
		keeps := map[bool]string{false: "the log begins anew", true: "the log stays"}[rd.InstallKeepsLog]
		fmt.Fprintf(&b, "installs snapshot up to %d/%d, %s\n", s.Index, s.Term, keeps)
	}
	if len(rd.Committed) > 0 {
		fmt.Fprintf(&b, "committed %s\n", describeEntries(rd.Committed))
	}
	for _, r := range rd.ReadStates {
		if r.Lost {
			fmt.Fprintf(&b, "read %d lost\n", r.Context)
		} else {
			fmt.Fprintf(&b, "read %d at %d\n", r.Context, r.Index)
		}
	}
	return b.String()
}

// describeEntries writes entries as index/term and content.
func describeEntries(entries []Entry) string {
	var parts []string
	for _, e := range entries {
		s := fmt.Sprintf("%d/%d", e.Index, e.Term)
		switch e.Kind {
		case EntryNormal:
			s += fmt.Sprintf(" %q", e.Data)
		case EntryNoop:
			s += " noop"
		case EntryMembers:
			m, _ := ParseMembership(e.Data)
			s += " " + describeMembers(m)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// describeMembers writes the voters by id, and other members with their roles.
func describeMembers(m Membership) string {
	s := "members"
	for _, mb := range m.Members {
		s += fmt.Sprintf(" %d", mb.ID)
		if mb.Role != Voter {
			s += ":" + mb.Role.String()
		}
	}
	return s
}

func describeMessage(m Message) string {
	s := fmt.Sprintf("%d->%d %s, term %d", m.From, m.To, m.Kind, m.Term)
	switch m.Kind {
	case MsgVote, MsgPreVote:
		if m.Transfer {
			s += ", asked for"
		}
		return s + fmt.Sprintf(", log ends %d/%d", m.Index, m.LogTerm)
	case MsgHeartbeat:
		s += fmt.Sprintf(", commit %d", m.Commit)
		if m.Context != 0 {
			s += fmt.Sprintf(", round %d", m.Context)
		}
		return s
	case MsgHeartbeatReply:
		if m.Reject {
			return s + ", refused"
		}
		return s + fmt.Sprintf(", round %d", m.Context)
	case MsgSnapshot:
		members := describeMembers(m.Snapshot.Members)
		return s + fmt.Sprintf(", up to %d/%d, %s", m.Snapshot.Index, m.Snapshot.Term, members)
	case MsgReadIndexReply:
		if m.Reject {
			return s + ", refused"
		}
		return s + fmt.Sprintf(", at %d", m.Index)
	case MsgVoteReply, MsgPreVoteReply:
		return s + map[bool]string{false: ", granted", true: ", refused"}[m.Reject]
	case MsgAppend:
		s += fmt.Sprintf(", after %d/%d, commit %d", m.Index, m.LogTerm, m.Commit)
		if len(m.Entries) > 0 {
			s += ": " + describeEntries(m.Entries)
		}
		return s
	case MsgAppendReply:
		if m.Reject {
			return s + fmt.Sprintf(", refused %d, agrees at most at %d/%d", m.Index, m.Hint, m.HintTerm)
		}
		return s + fmt.Sprintf(", matches %d", m.Index)
	}
	return s
}
