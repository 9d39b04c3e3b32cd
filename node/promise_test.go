package node

import (
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestPromiseLeavesAfterTheSync: the reply to a candidate promises a vote that survives a crash. It leaves once the log
// writer has synced the vote, and never when the sync failed.
func TestPromiseLeavesAfterTheSync(t *testing.T) {
	for _, fails := range []bool{false, true} {
		fault, armed := vfs.FailFrom(0, nil).Kinds(vfs.OpSync), false
		c := &cluster{t: t}
		opts := testOptions(vfs.NewInject(vfs.NewMem(), func(op vfs.Op) vfs.Decision {
			if !armed {
				return vfs.Decision{}
			}
			return fault.Hook(op)
		}))
		opts.Manual, opts.RaftAddr, opts.Network = true, raftAddr(1), &wire{c: c, from: 1}
		opts.Initial = []Founder{{1, raftAddr(1)}, {2, raftAddr(2)}, {3, raftAddr(3)}}
		n, err := Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		id, err := raft.ParseClusterID(n.ClusterID())
		if err != nil {
			t.Fatal(err)
		}
		voted := func() bool {
			return slices.ContainsFunc(c.wire, func(p packet) bool {
				return p.message.Kind == raft.MsgVoteReply && !p.message.Reject
			})
		}
		armed = fails
		n.Receive(raft.Message{Kind: raft.MsgVote, ClusterID: id, From: 2, To: 1, Instance: 2, Term: 7})
		if _, err := n.Turn(); err != nil || voted() {
			t.Fatalf("before the sync: voted %t, %v", voted(), err)
		}
		if _, err := n.PersistStep(); (err != nil) != fails || voted() == fails {
			t.Errorf("a sync that fails %t: voted %t, %v", fails, voted(), err)
		}
		n.Close()
	}
}
