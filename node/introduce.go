package node

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/scribe-ledger/scribe/raft"
)

// A node introduces itself to each new leader, and again until the membership records exactly what it says: its instance
// and its addresses. So a founder's HTTP address gets known, a changed address finds its way, and a node that comes back
// under its id with other data is found out: its instance is not the recorded one, and it may have forgotten a vote or an
// acknowledged entry that others count on.

// introduction is what a node says of itself. Encoding:
//
//	kind u8 = 3 · instance u64 · raft address text · HTTP address text
type introduction struct {
	instance uint64
	raftAddr string
	httpAddr string
}

// introductions is state of the raft loop.
type introductions struct {
	next uint64 // the tick at which this node introduces itself next, if it is not known by then

	heard    []introduced // on a leader: by id, what is not proposed yet; at most one for each member
	stranger []uint64     // ids whose refusal was logged in this term
}

type introduced struct {
	id uint64
	introduction
}

func (i *introduction) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(requestIntroduce)}, i.instance)
	b = appendText(b, i.raftAddr, raft.MaxAddrBytes)
	return appendText(b, i.httpAddr, raft.MaxAddrBytes)
}

func parseIntroduction(b []byte) (i introduction, err error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	i = introduction{instance: r.u64(), raftAddr: r.text(raft.MaxAddrBytes), httpAddr: r.text(raft.MaxAddrBytes)}
	r.bad = r.bad || kind != requestIntroduce || i.instance == 0
	return i, r.end(requestIntroduce)
}

func (i *introduction) describes(m raft.Member) bool {
	return m.Instance == i.instance && m.RaftAddr == i.raftAddr && m.HTTPAddr == i.httpAddr
}

// introduce tells the leader who this node is, unless the membership says so already.
func (n *Node) introduce() {
	leader := n.core.SoftState().Leader
	self := introduction{n.Instance(), n.opts.RaftAddr, n.opts.HTTPAddr}
	m, ok := n.status.Load().Members.Get(n.opts.NodeID)
	if ok && leader != 0 && self.describes(m) {
		n.refused.Store(nil)
	}
	if leader == 0 || !ok || self.describes(m) || n.ticks < n.intro.next {
		return
	}
	n.intro.next = n.ticks + uint64(n.opts.ElectionTicks)
	if leader == n.opts.NodeID {
		n.intro.hear(introduced{n.opts.NodeID, self})
		return
	}
	n.net().SendRequest(leader, self.encode())
}

// hear keeps the newest introduction of a member.
func (i *introductions) hear(x introduced) {
	at, ok := slices.BinarySearchFunc(i.heard, x.id, func(x introduced, id uint64) int { return cmp.Compare(x.id, id) })
	if ok {
		i.heard[at] = x
	} else {
		i.heard = slices.Insert(i.heard, at, x)
	}
}

// takeIntroduction notes who a member says it is. The leader proposes it when no other change is under way.
func (n *Node) takeIntroduction(from uint64, payload []byte) error {
	x, err := parseIntroduction(payload)
	if err != nil || n.core.SoftState().Role != raft.Leader {
		return err
	}
	members := n.status.Load().Members
	m, ok := members.Get(from)
	switch {
	case !ok && slices.Contains(members.Removed, raft.Departed{ID: from, Instance: x.instance}):
		n.tellStranger(from, fmt.Sprintf("node %d was removed from the cluster", from))
	case !ok:
	case m.Instance != 0 && m.Instance != x.instance:
		n.tellStranger(from, wipedReason(from))
	case !x.describes(m):
		n.intro.hear(introduced{from, x})
	}
	return nil
}

// tellStranger refuses a node that is not who the cluster knows.
func (n *Node) tellStranger(to uint64, reason string) {
	if !slices.Contains(n.intro.stranger, to) && len(n.intro.stranger) < raft.MaxMembers {
		n.intro.stranger = append(n.intro.stranger, to)
		n.opts.Logger.Error("a node is refused: "+reason, "node", to)
	}
	n.net().SendRequest(to, appendText([]byte{byte(requestStranger)}, reason, maxDetailBytes))
}

// takeStranger learns that the leader refuses this node.
func (n *Node) takeStranger(from uint64, payload []byte) error {
	r := reader{b: payload[1:]}
	reason := r.text(maxDetailBytes)
	if err := r.end(requestStranger); err != nil {
		return err
	}
	if from != n.core.SoftState().Leader {
		return nil
	}
	n.refuse(reason)
	return nil
}

// refuse notes that the cluster does not take this node for a member.
func (n *Node) refuse(reason string) {
	if was := n.refused.Load(); was == nil || *was != reason {
		n.refused.Store(&reason)
		n.opts.Logger.Error("the cluster refuses this node: " + reason)
	}
}

func wipedReason(id uint64) string {
	return fmt.Sprintf("the data of node %d was replaced; remove node %d from the cluster and join it anew", id, id)
}

// introduced is the membership with what members have said of themselves; the same when that is all recorded.
func (n *Node) introduced(members raft.Membership) raft.Membership {
	out := members
	n.intro.heard = slices.DeleteFunc(n.intro.heard, func(x introduced) bool {
		at := slices.IndexFunc(members.Members, func(m raft.Member) bool { return m.ID == x.id })
		if at < 0 || x.describes(members.Members[at]) || (members.Members[at].Instance != 0 && members.Members[at].Instance != x.instance) {
			return true // told by an earlier one, or overtaken
		}
		if &out.Members[0] == &members.Members[0] {
			out.Members = slices.Clone(members.Members)
		}
		m := &out.Members[at]
		m.Instance, m.RaftAddr, m.HTTPAddr = x.instance, x.raftAddr, x.httpAddr
		return false
	})
	return out
}
