package node

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/scribe-ledger/scribe/raft"
)

// Every member tells the leader how its disk is, about once in an election timeout and when that changes. While a quorum
// of the voters is up and has space the leader takes writes in: a member that is short falls behind once its log is full,
// which /cluster/members shows, and catches up when it has space. When there is no such quorum the leader refuses writes,
// with the names of those who are short: what it took in would eat up their reserves, and then wait for space without an
// answer. (etcd's NOSPACE alarm refuses all writes as soon as one member is short; here one full disk is no more than
// one lost member.)

// shortages are what a leader knows of the members' disks.
type shortages struct {
	// State of the raft loop.
	told    spaceReport // what this node told last
	toldTo  raft.SoftState
	reports map[uint64]spaceReport // of the other members, in this term

	fault   atomic.Pointer[string]          // why this leader refuses writes; nil when it does not
	members atomic.Pointer[map[uint64]bool] // who is short, as this node knows; never changed in place
}

// spaceReport is how a member's disk is. Encoding:
//
//	kind u8 = 9 · term u64 · short u8 · free bytes u64 · reserve bytes u64
type spaceReport struct {
	term          uint64
	short         bool
	free, reserve uint64
}

func (r spaceReport) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(requestSpace)}, r.term)
	b = binary.BigEndian.AppendUint64(appendBool(b, r.short), r.free)
	return binary.BigEndian.AppendUint64(b, r.reserve)
}

func parseSpaceReport(b []byte) (spaceReport, error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	out := spaceReport{term: r.u64(), short: r.boolean(), free: r.u64(), reserve: r.u64()}
	r.bad = r.bad || kind != requestSpace
	return out, r.end(requestSpace)
}

// lead forgets what members of an earlier term told.
func (s *shortages) lead() {
	s.reports = nil
	s.fault.Store(nil)
	s.members.Store(nil)
}

// tellSpace tells the leader how this node's disk is.
func (n *Node) tellSpace() {
	s, known := &n.shortages, n.core.SoftState()
	if known.Leader == 0 || known.Role == raft.Leader {
		return
	}
	r := spaceReport{known.Term, n.space.short.Load(), uint64(n.space.free.Load()), uint64(n.space.reserve.Load())}
	if known == s.toldTo && r.short == s.told.short && n.ticks%uint64(n.opts.ElectionTicks) != 0 {
		return
	}
	if n.net().SendRequest(known.Leader, r.encode()) {
		s.told, s.toldTo = r, known
	}
}

// takeSpace keeps what a member tells of its disk.
func (n *Node) takeSpace(from uint64, payload []byte) error {
	r, err := parseSpaceReport(payload)
	if err != nil {
		return err
	}
	known := n.core.SoftState()
	if _, member := n.status.Load().Members.Get(from); !member || known.Role != raft.Leader || known.Term != r.term {
		return nil
	}
	if n.shortages.reports == nil {
		n.shortages.reports = make(map[uint64]spaceReport)
	}
	was := n.shortages.reports[from]
	n.shortages.reports[from] = r
	if r.short != was.short {
		if r.short {
			n.opts.Logger.Warn("a member is short of disk space", "node_id", from, "free_bytes", r.free, "reserve_bytes",
				r.reserve)
		} else {
			n.opts.Logger.Info("a member has disk space again", "node_id", from, "free_bytes", r.free)
		}
	}
	return nil
}

// updateShortages judges, on a leader, whether a quorum of the voters is up and has space.
func (n *Node) updateShortages() {
	st, s := n.status.Load(), &n.shortages
	if st.Role != raft.Leader {
		return
	}
	short := map[uint64]bool{st.ID: n.space.short.Load()}
	votes := map[uint64]bool{st.ID: !n.space.short.Load()}
	var details []string
	if d := n.shortOfSpace(); d != "" {
		details = append(details, d)
	}
	for _, p := range st.Peers {
		r := s.reports[p.ID]
		short[p.ID] = r.short
		votes[p.ID] = p.Active && !r.short
		if m, ok := st.Members.Get(p.ID); r.short && ok && !m.Role.Learns() {
			details = append(details, fmt.Sprintf("%d bytes are free on the disk of node %d, which keeps %d for segments "+
				"and its log", r.free, p.ID, r.reserve))
		}
	}
	s.members.Store(&short)
	if len(details) == 0 || st.Members.Tally(votes) == raft.VoteWon {
		s.fault.Store(nil)
		return
	}
	fault := "too few of the members that are up have disk space: " + strings.Join(details, "; ") + "; free space and retry"
	s.fault.Store(&fault)
}

// shortFault says why this node, as the leader, refuses writes; empty when it does not for want of space beside the log's.
func (n *Node) shortFault() string {
	if n.status.Load().Role != raft.Leader {
		return ""
	}
	if d := n.shortOfSpace(); d != "" {
		return "the disk is full: " + d + "; free space and retry"
	}
	if fault := n.shortages.fault.Load(); fault != nil {
		return *fault
	}
	return ""
}

// roomiest is the voter with space that has caught up most; 0 when no other voter is up and has space.
func (n *Node) roomiest(st *raft.Status) (id uint64) {
	var match uint64
	for _, p := range st.Peers {
		m, ok := st.Members.Get(p.ID)
		r, told := n.shortages.reports[p.ID]
		if !ok || m.Role.Learns() || m.Role == raft.LeavingVoter || m.Role == raft.DemotedVoter || !p.Active || !told || r.short {
			continue
		}
		if id == 0 || p.Match > match {
			id, match = p.ID, p.Match
		}
	}
	return id
}

// isShort says whether a member is known to be short of space: the leader knows, and tells the others.
func (n *Node) isShort(id uint64) bool {
	if id == n.opts.NodeID {
		return n.space.short.Load()
	}
	st := n.status.Load()
	if st.Role == raft.Leader {
		short := n.shortages.members.Load()
		return short != nil && (*short)[id]
	}
	o := n.outlook.Load()
	if o == nil || o.from != st.Leader || o.term != st.Term {
		return false
	}
	i := slices.IndexFunc(o.members, func(p raft.PeerStatus) bool { return p.ID == id })
	return i >= 0 && o.lacking[i] || id == o.from && o.short
}
