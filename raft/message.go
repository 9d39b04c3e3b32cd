package raft

import "fmt"

// MessageKind says what a message asks or answers.
type MessageKind uint8

// The kinds of messages, and the fields each uses beside Kind, ClusterID, From, To and Term.
const (
	// MsgVote asks for a vote (Raft §5.2, §5.4.1). Index, LogTerm: the candidate's last entry.
	MsgVote MessageKind = 1
	// MsgVoteReply answers MsgVote. Reject; Context: the candidate's instance.
	MsgVoteReply MessageKind = 2
	// MsgPreVote asks whether a vote would be granted (thesis §9.6). Index, LogTerm as MsgVote.
	MsgPreVote MessageKind = 3
	// MsgPreVoteReply answers MsgPreVote. Reject; Context as MsgVoteReply.
	MsgPreVoteReply MessageKind = 4
	// MsgAppend replicates entries (Raft §5.3). Index, LogTerm: the entry before the first one; Entries; Commit.
	MsgAppend MessageKind = 5
	// MsgAppendReply answers MsgAppend. Index: the last entry known to match. Rejected: Index is that of the refused
	// append, Hint and HintTerm are where the logs may agree.
	MsgAppendReply MessageKind = 6
	// MsgHeartbeat shows that the leader lives. Commit, LogTerm: the last entry that the receiver holds and is
	// committed; Context: the round of heartbeats, 0 when no answer is asked for.
	MsgHeartbeat MessageKind = 7
	// MsgHeartbeatReply answers MsgHeartbeat. Context.
	MsgHeartbeatReply MessageKind = 8
	// MsgSnapshot tells a follower to install a snapshot. Snapshot: its metadata; the content does not travel here.
	MsgSnapshot MessageKind = 9
	// MsgTimeoutNow tells a follower to campaign at once (leadership transfer, thesis §3.10).
	MsgTimeoutNow MessageKind = 10
	// MsgReadIndex asks the leader for a read index. Context: the sender's token for the reads that it stands for.
	MsgReadIndex MessageKind = 11
	// MsgReadIndexReply answers MsgReadIndex. Index, Context, Reject.
	MsgReadIndexReply MessageKind = 12

	lastKind = MsgReadIndexReply
)

// String returns the kind as the tests and logs write it.
func (k MessageKind) String() string {
	switch k {
	case MsgVote:
		return "vote"
	case MsgVoteReply:
		return "vote-reply"
	case MsgPreVote:
		return "pre-vote"
	case MsgPreVoteReply:
		return "pre-vote-reply"
	case MsgAppend:
		return "append"
	case MsgAppendReply:
		return "append-reply"
	case MsgHeartbeat:
		return "heartbeat"
	case MsgHeartbeatReply:
		return "heartbeat-reply"
	case MsgSnapshot:
		return "snapshot"
	case MsgTimeoutNow:
		return "timeout-now"
	case MsgReadIndex:
		return "read-index"
	case MsgReadIndexReply:
		return "read-index-reply"
	}
	return fmt.Sprintf("message(%d)", uint8(k))
}

// Message travels between the cores of a cluster. Which fields mean something is told by Kind; the others are zero.
type Message struct {
	Kind      MessageKind
	Reject    bool
	Transfer  bool // MsgVote, MsgPreVote: the leader itself asked for this campaign, so that its lease does not bar it
	ClusterID ClusterID
	From      uint64
	To        uint64
	Instance  uint64 // the sender's; 0 when it has none
	Term      uint64 // the sender's term
	Index     uint64
	LogTerm   uint64
	Commit    uint64
	Hint      uint64
	HintTerm  uint64
	Context   uint64
	Entries   []Entry   // indexes follow Index without a gap
	Snapshot  *Snapshot // MsgSnapshot only
}

// validate refuses numbers out of range and entries that do not follow each other, whatever the kind.
func (m Message) validate() error {
	if m.Kind == 0 || m.Kind > lastKind {
		return refused("unknown kind %d", uint8(m.Kind))
	}
	for _, i := range []uint64{m.Index, m.Commit, m.Hint} {
		if i > MaxIndex {
			return refused("%s from node %d: index %d out of range", m.Kind, m.From, i)
		}
	}
	asks := m.Kind == MsgPreVote || m.Kind == MsgPreVoteReply // which is done before the first term begins
	if (m.Term == 0 && !asks) || m.Term > MaxTerm {
		return refused("%s from node %d: term %d out of range", m.Kind, m.From, m.Term)
	}
	if t := max(m.LogTerm, m.HintTerm); t > m.Term {
		return refused("%s from node %d: log term %d in term %d", m.Kind, m.From, t, m.Term)
	}
	if len(m.Entries) > MaxMessageEntries {
		return refused("%s from node %d: %d entries, at most %d", m.Kind, m.From, len(m.Entries), MaxMessageEntries)
	}
	if m.Index+uint64(len(m.Entries)) > MaxIndex {
		return refused("%s from node %d: %d entries after %d", m.Kind, m.From, len(m.Entries), m.Index)
	}
	prev := max(m.LogTerm, 1)
	for i, e := range m.Entries {
		if e.Index != m.Index+1+uint64(i) || e.Term < prev || e.Term > m.Term {
			return refused("%s from node %d: entry %d of term %d is out of order", m.Kind, m.From, e.Index, e.Term)
		}
		if e.Kind < EntryNormal || e.Kind > EntryMembers || len(e.Data) > MaxEntryBytes {
			return refused("%s from node %d: entry %d of kind %d, %d bytes", m.Kind, m.From, e.Index, e.Kind, len(e.Data))
		}
		if e.Kind == EntryMembers {
			if _, err := ParseMembership(e.Data); err != nil {
				return refused("%s from node %d: entry %d: %v", m.Kind, m.From, e.Index, err)
			}
		}
		prev = e.Term
	}
	if (m.Snapshot != nil) != (m.Kind == MsgSnapshot) || (len(m.Entries) > 0 && m.Kind != MsgAppend) {
		return refused("%s from node %d: a part that does not belong to it", m.Kind, m.From)
	}
	if s := m.Snapshot; s != nil {
		if s.Index == 0 || s.Index > MaxIndex || s.Term == 0 || s.Term > m.Term || len(s.Members.Members) == 0 {
			return refused("%s from node %d: snapshot at %d, term %d", m.Kind, m.From, s.Index, s.Term)
		}
		if err := s.Members.Validate(); err != nil {
			return refused("%s from node %d: %v", m.Kind, m.From, err)
		}
	}
	return nil
}
