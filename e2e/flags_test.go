package e2e

import (
	"flag"
	"testing"
	"time"
)

// The cluster tests run with little by default, to be part of every `go test`. `make e2e` runs them in full.
var (
	kills      = flag.Int("kills", 6, "leaders that TestFailover kills")
	operations = flag.Int("operations", 15_000, "client operations of TestLinearizable, at least")
	faultSeed  = flag.Uint64("fault-seed", 1, "seed of the operations and faults of TestLinearizable")
	catchUp    = flag.Int("catchup", 64, "MiB written in TestCatchUp while a node is down")
	quiet      = flag.Bool("quiet", false, "the machine has nothing else to do: hold latencies against their limits, too")
)

// within holds a measured time against its limit. The race detector makes programs slow, so that it says nothing there.
func within(t testing.TB, what string, got, limit time.Duration) {
	t.Helper()
	if got > limit && !raceEnabled {
		t.Errorf("%s: %v, at most %v", what, got.Round(time.Millisecond), limit)
	}
}
