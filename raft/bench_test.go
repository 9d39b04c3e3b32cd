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

// BenchmarkThreeVoters is the way of a batch of 256 commands through a leader and two followers, without the time of
// disks and network.
func BenchmarkThreeVoters(b *testing.B) {
	var nodes []*Core
	var disks []*testDisk
	for id := uint64(1); id <= 3; id++ {
		cfg := Config{ID: id, ClusterID: testCluster, Seed: id}
		disks = append(disks, &testDisk{})
		c, err := New(cfg, HardState{}, Snapshot{Members: mustMembers(b, voters(1, 2, 3)...)}, disks[id-1])
		noErr(b, err)
		nodes = append(nodes, c)
	}
	settle := func() {
		for moved := true; moved; {
			moved = false
			for i, c := range nodes {
				for c.HasReady() {
					moved = true
					rd, err := c.Ready()
					noErr(b, err)
					noErr(b, disks[i].write(rd.HardState, rd.Entries))
					noErr(b, c.Advance(Progress{Persisted: rd.Number}))
					if n := len(rd.Committed); n > 0 {
						noErr(b, c.Advance(Progress{Applied: rd.Committed[n-1].Index}))
					}
					for _, m := range append(rd.Messages, rd.AfterSync...) {
						noErr(b, nodes[m.To-1].Step(m))
					}
				}
			}
		}
	}
	noErr(b, nodes[0].Campaign())
	settle()
	cmds := make([][]byte, 256)
	for i := range cmds {
		cmds[i] = make([]byte, 100)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := nodes[0].Propose(cmds)
		noErr(b, err)
		settle()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(cmds)), "ns/command")
}
