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
	slack      = flag.Float64("slack", 2, "how many times its limit a measured step may take: other people's work on the host is in it")
	quiet      = flag.Bool("quiet", false, "the machine has nothing else to do: hold latencies against their limits, too")
)

// within holds a measured time against its limit, as often as -slack has it: a host that stands still for a moment fails no
// test that says nothing of it; `make e2e` allows none. The race detector makes programs slow, so that it says nothing there.
func within(t testing.TB, what string, got, limit time.Duration) {
	t.Helper()
	if float64(got) > *slack*float64(limit) && !raceEnabled {
		t.Errorf("%s: %v, at most %v, %v times", what, got.Round(time.Millisecond), limit, *slack)
	}
}
