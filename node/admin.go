package node

import (
	"context"

	"github.com/scribe-ledger/scribe/raft"
)

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
	LedgerID  string
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
	c := newChange(changeJoin, r.NodeID)
	c.raftAddr, c.httpAddr, c.learner = r.RaftAddr, r.HTTPAddr, r.Learner
	if err := n.change(ctx, c); err != nil {
		return JoinResult{}, err
	}
	out := JoinResult{ClusterID: n.identity.ClusterID, LedgerID: n.identity.ledger()}
	for _, m := range c.members.Members {
		out.Members = append(out.Members, memberOf(m))
	}
	return out, nil
}

// Leave removes a member, the leader too. It answers when that is committed, on any node. Removing one that is no member
// is no error. Errors: *MemberError and *Unavailable.
func (n *Node) Leave(ctx context.Context, id uint64) error {
	return n.change(ctx, newChange(changeLeave, id))
}

// Promote makes a learner a voter, if it has caught up. It answers when that is committed, on any node. Promoting a voter
// is no error. Errors: *MemberError and *Unavailable.
func (n *Node) Promote(ctx context.Context, id uint64) error {
	return n.change(ctx, newChange(changePromote, id))
}

// Transfer makes a voter the leader; 0 picks the one that has caught up most. It answers when it leads, on any node.
// Errors: *MemberError and *Unavailable.
func (n *Node) Transfer(ctx context.Context, id uint64) error {
	return n.change(ctx, newChange(changeTransfer, id))
}

// change hands a change to the raft loop and waits for its outcome.
func (n *Node) change(ctx context.Context, c *change) error {
	if at, ok := ctx.Deadline(); ok {
		c.deadline = at.UnixNano()
	}
	if n.Err() == nil {
		n.awaitReady(ctx)
	}
	if err := n.beginChange(c); err != nil {
		return err
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return &Unavailable{Reason: OutcomeUnknown, Detail: "the change of the cluster was not confirmed in time"}
	case <-n.ended:
		return &Unavailable{Reason: OutcomeUnknown, Detail: "the node ended before the change of the cluster was confirmed"}
	}
}

// beginChange hands a change to the raft loop, if it makes sense and there is room. Errors: *MemberError, *Unavailable.
func (n *Node) beginChange(c *change) error {
	switch {
	case c.id == 0 && c.op != changeTransfer:
		return &MemberError{MemberInvalid, "the node id is missing"}
	case c.op == changeJoin && c.raftAddr == "":
		return &MemberError{MemberInvalid, "the raft address is missing"}
	case len(c.raftAddr) > raft.MaxAddrBytes || len(c.httpAddr) > raft.MaxAddrBytes:
		return &MemberError{MemberInvalid, "an address is too long"}
	case n.fault() != "":
		return &Unavailable{Reason: NotReady, Detail: "this node cannot change the cluster: " + n.fault()}
	}
	if !n.inbox.addChange(c) {
		return &Unavailable{Reason: Overloaded, Detail: "too many changes of the cluster wait already"}
	}
	n.poke(n.wake)
	return nil
}
