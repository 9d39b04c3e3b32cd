package node

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tlog"
)

// Equal logs give equal roots, on every replica; one that has another root is damaged, or the program is wrong. So that
// neither a damaged leader's root gets recorded nor a damaged follower goes unnoticed, a root enters the log only after a
// quorum of voters, the leader among them, has reported the same one; then every replica compares it with its own when it
// applies the entry. The replicas report to the leader, at every tick until it is recorded.

// maxRoots bounds the roots of each sort in one report.
const maxRoots = 64

// roots is state of the raft loop, but for due.
type roots struct {
	due     atomic.Bool // there may be something new to report, or to agree on
	term    uint64      // of the reports
	reports []rootReport
}

// rootReport is what a replica has built and taken, and does not find recorded. Encoding:
//
//	kind u8 = 7 · term u64 · count u32 · segments (tlog.Descriptor) · count u32 · merges (tlog.Descriptor)
//	· count u32 · checks (size u64 · root 32)
type rootReport struct {
	from     uint64
	term     uint64            // of the leader that it is for
	segments []tlog.Descriptor // of memtables
	merges   []tlog.Descriptor
	checks   []ledger.RootCheck
}

const (
	descriptorBytes = 3*8 + merkle.HashSize
	checkBytes      = 8 + merkle.HashSize
)

func (r *rootReport) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(requestRoots)}, r.term)
	for _, list := range [...][]tlog.Descriptor{r.segments, r.merges} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
		for _, d := range list {
			b = d.Append(b)
		}
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.checks)))
	for _, c := range r.checks {
		b = append(binary.BigEndian.AppendUint64(b, c.Size), c.Root[:]...)
	}
	return b
}

func parseRootReport(b []byte) (*rootReport, error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	out := &rootReport{term: r.u64()}
	for _, list := range [...]*[]tlog.Descriptor{&out.segments, &out.merges} {
		*list = make([]tlog.Descriptor, r.count(descriptorBytes, maxRoots))
		for i := range *list {
			d, err := tlog.ParseDescriptor(r.take(descriptorBytes))
			r.bad = r.bad || err != nil
			(*list)[i] = d
		}
	}
	out.checks = make([]ledger.RootCheck, r.count(checkBytes, maxRoots))
	for i := range out.checks {
		out.checks[i].Size = r.u64()
		copy(out.checks[i].Root[:], r.take(merkle.HashSize))
	}
	r.bad = r.bad || kind != requestRoots
	return out, r.end(requestRoots)
}

// ownRoots is this replica's report.
func (n *Node) ownRoots() rootReport {
	segments, merges, checks := n.ledger.BuiltRoots(), n.ledger.MergedRoots(), n.ledger.PendingChecks()
	return rootReport{from: n.opts.NodeID, segments: segments[:min(len(segments), maxRoots)],
		merges: merges[:min(len(merges), maxRoots)], checks: checks[max(0, len(checks)-maxRoots):]}
}

// lead begins a term: what was reported before is reported again.
func (r *roots) lead(now raft.SoftState) {
	r.due.Store(true)
	if r.term != now.Term {
		r.term, r.reports = now.Term, nil
	}
}

// reportRoots tells the leader what this replica has.
func (n *Node) reportRoots() error {
	known := n.core.SoftState()
	if known.Leader == 0 || !n.roots.due.Swap(false) {
		return nil
	}
	own := n.ownRoots()
	if len(own.segments)+len(own.merges)+len(own.checks) > 0 {
		own.term = known.Term
		n.net().SendRequest(known.Leader, own.encode())
	}
	return nil
}

// takeRoots keeps the newest report of each member.
func (n *Node) takeRoots(from uint64, payload []byte) error {
	report, err := parseRootReport(payload)
	if err != nil || report.term != n.roots.term || !n.status.Load().Members.IsVoter(from) {
		return err
	}
	report.from = from
	n.roots.due.Store(true)
	for i := range n.roots.reports {
		if n.roots.reports[i].from == from {
			n.roots.reports[i] = *report
			return nil
		}
	}
	n.roots.reports = append(n.roots.reports, *report)
	return nil
}

// agreedRoots returns what a quorum of voters, this leader among them, agrees on. When a quorum agrees on another root
// than this leader's, it is the leader that has diverged: *ledger.DivergedError.
func (n *Node) agreedRoots() (wants []ledger.Want, err error) {
	if !n.roots.due.Swap(false) {
		return nil, nil
	}
	own := n.ownRoots()
	// A memtable's segment is known by where it begins. Merges are of the same seqs, or are not the same merge.
	for _, d := range own.segments {
		root, agreed := quorumOn(n, d, func(r *rootReport) []tlog.Descriptor { return r.segments },
			func(d tlog.Descriptor) uint64 { return d.FirstSeq })
		if wants, err = recordAgreed(wants, d, root, agreed); err != nil {
			return nil, err
		}
	}
	for _, d := range own.merges {
		root, agreed := quorumOn(n, d, func(r *rootReport) []tlog.Descriptor { return r.merges },
			func(d tlog.Descriptor) [2]uint64 { return [2]uint64{d.FirstSeq, d.LastSeq} })
		if wants, err = recordAgreed(wants, d, root, agreed); err != nil {
			return nil, err
		}
	}
	for _, c := range slices.Backward(own.checks) {
		root, agreed := quorumOn(n, c, func(r *rootReport) []ledger.RootCheck { return r.checks },
			func(c ledger.RootCheck) uint64 { return c.Size })
		switch {
		case agreed && root != c:
			return nil, &ledger.DivergedError{What: fmt.Sprintf("the ledger's first %d entries", c.Size), Detail: fmt.Sprintf(
				"a quorum has root %v, own root %v", root.Root, c.Root)}
		case agreed: // it covers those before it
			return append(wants, ledger.CheckWant(c)), nil
		}
	}
	return wants, nil
}

// recordAgreed wants a segment recorded that a quorum agrees on; when that is another than own, this leader has diverged.
func recordAgreed(wants []ledger.Want, own, quorum tlog.Descriptor, agreed bool) ([]ledger.Want, error) {
	switch {
	case agreed && quorum != own:
		return nil, &ledger.DivergedError{What: "segment " + own.ID(), Detail: fmt.Sprintf(
			"a quorum has root %v of %d entries, own root %v of %d", quorum.Root, quorum.Entries, own.Root, own.Entries)}
	case agreed:
		wants = append(wants, ledger.RecordWant(own))
	}
	return wants, nil
}

// quorumOn returns what a quorum of voters has reported under the same number as own, if it agrees on anything.
func quorumOn[T, N comparable](n *Node, own T, list func(*rootReport) []T, number func(T) N) (root T, agreed bool) {
	said := map[uint64]T{n.opts.NodeID: own} // looked up only
	candidates := []T{own}
	for i := range n.roots.reports {
		r := &n.roots.reports[i]
		for _, x := range list(r) {
			if number(x) == number(own) {
				said[r.from] = x
				candidates = append(candidates, x)
			}
		}
	}
	members := n.status.Load().Members
	for _, c := range candidates {
		if members.QuorumIndex(func(id uint64) uint64 {
			if x, ok := said[id]; ok && x == c {
				return 1
			}
			return 0
		}) == 1 {
			return c, true
		}
	}
	return own, false
}
