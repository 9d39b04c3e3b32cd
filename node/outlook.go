package node

import (
	"encoding/binary"

	"github.com/scribe-ledger/scribe/raft"
)

// Only the leader knows how the members are. It tells them, about once in an election timeout, so that any node can be
// asked. Nothing is decided by it.

// outlook is how the members are, as a leader sees it. Encoding:
//
//	kind u8 = 8 · term u64 · last index u64 · leader is short of space u8
//	count u32 · members (id u64 · match u64 · active u8 · short of space u8)
type outlook struct {
	from    uint64
	term    uint64
	last    uint64
	short   bool
	members []raft.PeerStatus // ID, Match and Active
	lacking []bool            // which of them are short of space
}

const outlookMemberBytes = 8 + 8 + 1 + 1

func (o *outlook) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(requestOutlook)}, o.term)
	b = appendBool(binary.BigEndian.AppendUint64(b, o.last), o.short)
	b = binary.BigEndian.AppendUint32(b, uint32(len(o.members)))
	for i, m := range o.members {
		b = binary.BigEndian.AppendUint64(b, m.ID)
		b = appendBool(binary.BigEndian.AppendUint64(b, m.Match), m.Active)
		b = appendBool(b, i < len(o.lacking) && o.lacking[i])
	}
	return b
}

func parseOutlook(b []byte) (*outlook, error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	o := &outlook{term: r.u64(), last: r.u64(), short: r.boolean()}
	o.members = make([]raft.PeerStatus, r.count(outlookMemberBytes, raft.MaxMembers))
	o.lacking = make([]bool, len(o.members))
	for i := range o.members {
		o.members[i] = raft.PeerStatus{ID: r.u64(), Match: r.u64(), Active: r.boolean()}
		o.lacking[i] = r.boolean()
	}
	r.bad = r.bad || kind != requestOutlook
	return o, r.end(requestOutlook)
}

// tellOutlook tells the other members how all are.
func (n *Node) tellOutlook() {
	st := n.status.Load()
	if st.Role != raft.Leader || len(st.Peers) == 0 || n.ticks%uint64(n.opts.ElectionTicks) != 0 {
		return
	}
	o := outlook{term: st.Term, last: st.Last, short: n.space.short.Load(),
		members: st.Peers[:min(len(st.Peers), raft.MaxMembers)]}
	for _, m := range o.members {
		o.lacking = append(o.lacking, n.isShort(m.ID))
	}
	for _, p := range o.members {
		n.net().SendRequest(p.ID, o.encode())
	}
}

// takeOutlook keeps what the leader tells.
func (n *Node) takeOutlook(from uint64, payload []byte) error {
	o, err := parseOutlook(payload)
	if err != nil {
		return err
	}
	if known := n.core.SoftState(); known.Leader == from && known.Term == o.term && known.Role != raft.Leader {
		o.from = from
		n.outlook.Store(o)
	}
	return nil
}

// peerStatus returns how the members are, as far as this node can tell, and the index that they are measured by.
func (n *Node) peerStatus(st *raft.Status) (peers []raft.PeerStatus, last uint64) {
	if st.Role == raft.Leader {
		return st.Peers, st.Last
	}
	if o := n.outlook.Load(); o != nil && o.from == st.Leader && o.term == st.Term {
		return append([]raft.PeerStatus{{ID: o.from, Match: o.last, Active: true}}, o.members...), o.last
	}
	if st.Leader != 0 {
		peers = append(peers, raft.PeerStatus{ID: st.Leader, Match: st.Commit, Active: true})
	}
	return peers, st.Commit
}
