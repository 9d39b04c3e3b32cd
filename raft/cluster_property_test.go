package raft

import (
	"testing"

	"pgregory.net/rapid"
)

// The properties of Raft's figure 3, of reads and of changes of members. All are checked in every run
// (cluster_check_test.go); each test makes those events frequent that its property fears.

func TestPropertyElectionSafety(t *testing.T) {
	property(t, mix{"timeout": 5, "campaign": 3, "crash": 4, "wipe": 1, "propose": 2})
}

func TestPropertyLogMatching(t *testing.T) {
	property(t, mix{"propose": 10, "deliver": 12, "lose": 4, "timeout": 2, "crash": 2})
}

func TestPropertyLeaderCompleteness(t *testing.T) {
	property(t, mix{"propose": 6, "timeout": 5, "cut": 3, "crash": 2, "sync": 8})
}

func TestPropertyStateMachineSafety(t *testing.T) {
	property(t, mix{"propose": 6, "compact": 6, "restore": 4, "timeout": 2, "cut": 2, "crash": 2})
}

func TestPropertyLeaderAppendOnly(t *testing.T) {
	property(t, mix{"propose": 8, "campaign": 3, "deliver": 15, "run": 6, "transfer": 1})
}

func TestPropertyReadIndex(t *testing.T) {
	property(t, mix{"read": 10, "propose": 6, "timeout": 4, "cut": 3, "transfer": 2, "crash": 2})
}

func TestPropertyMembership(t *testing.T) {
	property(t, mix{"change": 6, "propose": 3, "timeout": 4, "cut": 2, "crash": 2, "compact": 1, "restore": 1, "wipe": 1})
}

// mix says how often things happen, where it is not as usual.
type mix map[string]int

func property(t *testing.T, weights mix) {
	rapid.Check(t, func(t *rapid.T) {
		m := newClusterModel(t, rapid.SampledFrom([]int{3, 5}).Draw(t, "founders"))
		actions := []action{
			{"tick", 5, m.tick},
			{"timeout", 1, m.timeout},
			{"campaign", 1, m.campaign},
			{"propose", 4, m.propose},
			{"run", 10, func(t *rapid.T) { m.run(t, m.pick(t)) }},
			{"round", 4, m.round},
			{"reign", 3, m.reign},
			{"ready", 4, func(t *rapid.T) { m.ready(t, m.pick(t)) }},
			{"sync", 4, m.sync},
			{"apply", 2, m.apply},
			{"deliver", 8, m.deliver},
			{"lose", 2, m.lose},
			{"cut", 1, m.cut},
			{"crash", 1, m.crash},
			{"read", 2, m.read},
			{"compact", 1, m.compact},
			{"restore", 1, m.restore},
			{"change", 1, m.change},
			{"transfer", 1, m.transfer},
			{"wipe", 0, m.wipe},
		}
		for i := range actions {
			if w, ok := weights[actions[i].name]; ok {
				actions[i].weight = w
			}
		}
		schedule(t, func(*rapid.T) {}, actions)
		m.heal(t)
	})
}
