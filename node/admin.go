package node

import (
	"context"
	"time"
)

// maxChanges bounds the changes of the cluster that wait on one node.
const maxChanges = 64

// JoinRequest names the node that is to become a member.
type JoinRequest struct {
	NodeID   uint64
	RaftAddr string
	HTTPAddr string
	Learner  bool // it is to stay a learner; else it becomes a voter once it has caught up
}

// JoinResult is what a node that joins must know.
type JoinResult struct {
	ClusterID string
	Members   []Member
}

// MemberProblem says what kind of reason stands against a change of the cluster.
type MemberProblem uint8

const (
	// MemberInvalid: the request makes no sense as it stands: an id of 0, an address that is missing or too long.
	MemberInvalid MemberProblem = 1
	// MemberUnknown: no such member.
	MemberUnknown MemberProblem = 2
	// MemberConflict: the cluster is in a state in which it cannot be: the id or address is another member's, the last
	// voter would go, a learner has not caught up.
	MemberConflict MemberProblem = 3
)

// MemberError says why a change of the cluster was refused. Nothing was changed.
type MemberError struct {
	Problem MemberProblem
	Reason  string // for people
}

func (e *MemberError) Error() string { return e.Reason }

// Join makes a node a member: as one that becomes a voter once it has caught up, or as a learner. It answers when that is
// committed, on any node. A member that is there already with the same addresses is no error. Errors: *MemberError and
// *Unavailable.
func (n *Node) Join(ctx context.Context, r JoinRequest) (JoinResult, error) {
	err := n.change(ctx, &change{op: changeJoin, id: r.NodeID, raftAddr: r.RaftAddr, httpAddr: r.HTTPAddr, learner: r.Learner})
	if err != nil {
		return JoinResult{}, err
	}
	return JoinResult{ClusterID: n.identity.ClusterID, Members: n.Status().Members}, nil
}

// Leave removes a member, the leader too. It answers when that is committed, on any node. Removing one that is no member
// is no error. Errors: *MemberError and *Unavailable.
func (n *Node) Leave(ctx context.Context, id uint64) error {
	return n.change(ctx, &change{op: changeLeave, id: id})
}

// Promote makes a learner a voter, at once if it has caught up. It answers when that is committed, on any node. Promoting
// a voter is no error. Errors: *MemberError and *Unavailable.
func (n *Node) Promote(ctx context.Context, id uint64) error {
	return n.change(ctx, &change{op: changePromote, id: id})
}

// Transfer makes a voter the leader; 0 picks the one that has caught up most. It answers when it leads, on any node.
// Errors: *MemberError and *Unavailable.
func (n *Node) Transfer(ctx context.Context, id uint64) error {
	return n.change(ctx, &change{op: changeTransfer, id: id})
}

// changeOp is a kind of change; it stands in request frames.
type changeOp uint8

const (
	changeJoin     changeOp = 1
	changeLeave    changeOp = 2
	changePromote  changeOp = 3
	changeTransfer changeOp = 4
)

// change is one change of the cluster that somebody waits for.
type change struct {
	op       changeOp
	id       uint64
	raftAddr string
	httpAddr string
	learner  bool
	deadline time.Time
	done     chan error // capacity 1
}

func (n *Node) change(ctx context.Context, c *change) error {
	_, _ = ctx, c
	return &Unavailable{Reason: NotReady, Detail: "this version runs one-node clusters only"}
}
