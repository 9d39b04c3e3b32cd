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
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

func describeMessage(m Message) string {
	s := fmt.Sprintf("%d->%d %s, term %d", m.From, m.To, m.Kind, m.Term)
	switch m.Kind {
	case MsgVote:
		return s + fmt.Sprintf(", log ends %d/%d", m.Index, m.LogTerm)
	case MsgVoteReply:
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
