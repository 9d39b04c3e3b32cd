package main

import (
	"runtime/debug"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/tier"
)

// collectorPercent lets the heap grow to five times what is live before the collector runs, as long as that stays below
// memoryLimit. A request leaves a few kilobytes of garbage and nothing else, so it is the frequency that costs.
const collectorPercent = 400

// tuneCollector sets the garbage collector for the configured sizes. The Go runtime's own variables win.
func tuneCollector(c config.Config, getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(c))
	}
	if getenv("GOGC") == "" {
		debug.SetGCPercent(collectorPercent)
	}
}

// memoryLimit is where the garbage collector begins to work harder, rather than let the heap grow to a multiple of what
// is live: five memtables, the cache, what is read ahead of the object store, and a part of what requests may hold, which
// they seldom do all at once, or what a node has besides. It is a soft limit and refuses nothing; but what is live must
// stay below it, or the collector never rests and takes half of the processors, so it is not to be cut fine.
func memoryLimit(c config.Config) int64 {
	return 5*c.Storage.SealBytes + c.Storage.BlockCacheBytes + tier.ReadAheadBytes + max(c.Limits.MaxInflightBytes/4, 64<<20)
}
