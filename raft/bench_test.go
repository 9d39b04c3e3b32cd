package raft

import (
	"fmt"
	"testing"
)

// BenchmarkProposeCommit takes batches of commands of 300 bytes through a cluster of one: proposed, handed to the disk,
// reported durable, handed out as committed, reported applied.
func BenchmarkProposeCommit(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			members, err := NewMembership(Member{ID: 1, Role: Voter})
			noErr(b, err)
			c, err := New(Config{ID: 1, ClusterID: testCluster}, HardState{}, Snapshot{Members: members}, &testDisk{})
			noErr(b, err)
			noErr(b, c.Tick())
			finish(b, c)
			cmds := make([][]byte, batch)
			for i := range cmds {
				cmds[i] = make([]byte, 300)
			}
			b.ReportAllocs()
			b.SetBytes(int64(300 * batch))
			for b.Loop() {
				_, err := c.Propose(cmds)
				noErr(b, err)
				finish(b, c)
			}
			b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func finish(b *testing.B, c *Core) {
	for c.HasReady() {
		rd, err := c.Ready()
		noErr(b, err)
		p := Progress{Persisted: rd.Number}
		if n := len(rd.Committed); n > 0 {
			p.Applied = rd.Committed[n-1].Index
		}
		noErr(b, c.Advance(p))
	}
}
