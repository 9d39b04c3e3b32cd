package sim

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

var (
	oneSeed  = flag.Uint64("seed", 0, "the only seed of TestCluster to run")
	simulate = flag.Duration("simulate", 100*time.Second, "simulated time of each seed of TestCluster")
)

// fixedSeeds are those that every test run goes through: what a change breaks, it mostly breaks for one of these.
const fixedSeeds = 100

// TestCluster runs whole clusters under faults. `go run ./sim/run` runs more of them.
func TestCluster(t *testing.T) {
	seeds, duration := fixedSeeds, *simulate
	if testing.Short() || raceDetector {
		seeds = fixedSeeds / 20
	}
	// A run allocates much and holds little.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	t.Run("seed", func(t *testing.T) {
		if *oneSeed != 0 {
			runSeed(t, *oneSeed, duration)
			return
		}
		var mu sync.Mutex
		var total Stats
		unmerged := 0 // seeds in which no segments were merged
		next := make(chan uint64)
		var workers sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			workers.Go(func() {
				for seed := range next {
					stats := runSeed(t, seed, duration)
					mu.Lock()
					total.Add(stats)
					if stats.Merges == 0 {
						unmerged++
					}
					mu.Unlock()
				}
			})
		}
		for seed := range uint64(seeds) {
			next <- seed + 1
		}
		close(next)
		workers.Wait()
		if testing.Verbose() {
			t.Logf("%s; %d seeds without a merge", total.String(), unmerged)
		}
		if duration >= 100*time.Second && 10*unmerged > seeds {
			t.Errorf("in %d of %d seeds nothing was merged: too many", unmerged, seeds)
		}
	})
}

func runSeed(t *testing.T, seed uint64, duration time.Duration) Stats {
	result, err := Run(Config{Seed: seed, Duration: duration})
	if err != nil {
		t.Errorf("%v\nrepeat with: go test ./sim -run TestCluster/seed -seed=%d, or with every event: "+
			"go run ./sim/run -seed %[2]d -v", err, seed)
	}
	return result.Stats
}

// TestSameSeedSameRun: what happens follows from the seed alone.
func TestSameSeedSameRun(t *testing.T) {
	for seed := range uint64(8) {
		var runs [2]string
		for i := range runs {
			result, err := Run(Config{Seed: seed + 1000, Duration: 10 * time.Second})
			runs[i] = fmt.Sprintf("%016x %+v %v", result.Hash, result.Stats, err)
		}
		if runs[0] != runs[1] {
			t.Errorf("seed %d:\n%s\n%s", seed+1000, runs[0], runs[1])
		}
	}
}
