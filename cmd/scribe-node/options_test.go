package main

import (
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/config"
)

func TestElectionTicks(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		c           config.Raft
		least, most int
	}{
		{config.Default().Raft, 5, 10},
		{config.Raft{Heartbeat: 100 * ms, ElectionMin: 500 * ms, ElectionMax: 2000 * ms}, 5, 20},
		{config.Raft{Heartbeat: 100 * ms, ElectionMin: 450 * ms, ElectionMax: 460 * ms}, 5, 7},
		{config.Raft{Heartbeat: 30 * ms, ElectionMin: 100 * ms, ElectionMax: 200 * ms}, 4, 7},
	} {
		if least, most := electionTicks(tc.c); least != tc.least || most != tc.most {
			t.Errorf("%+v: %d to %d ticks, want %d to %d", tc.c, least, most, tc.least, tc.most)
		}
	}
}

// What a configuration says with 0 the node takes as a negative number: 0 is its default.
func TestNothingIsNoDefault(t *testing.T) {
	c := config.Default()
	c.Storage.KeepLogBytes, c.Storage.KeepLogAge, c.Storage.SealAge, c.Raft.SnapshotBytesPerSecond = 0, 0, 0, 0
	c.Tier.ScrubBytesPerSecond = 0
	o := nodeOptions(c, &addresses{}, nil, nil)
	if o.KeepLogBytes >= 0 || o.KeepLogAge >= 0 || o.Ledger.SealAge >= 0 || o.SnapshotBytesPerSecond >= 0 ||
		o.ScrubBytesPerSecond >= 0 {
		t.Errorf("%+v", o)
	}
}

func TestScrubInterval(t *testing.T) {
	c, err := config.Load(nil, []string{"SCRIBE_TIER_SCRUB_INTERVAL=36h"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o := nodeOptions(c, &addresses{}, nil, nil); o.ScrubInterval != 36*time.Hour {
		t.Errorf("%v", o.ScrubInterval)
	}
}
