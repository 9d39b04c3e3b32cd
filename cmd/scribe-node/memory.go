package main

import (
	"runtime/debug"

	"github.com/scribe-ledger/scribe/config"
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
// is live: five memtables, the cache, and a part of what requests may hold, which they seldom do all at once. It is a
// soft limit and refuses nothing.
func memoryLimit(c config.Config) int64 {
	return 5*c.Storage.SealBytes + c.Storage.BlockCacheBytes + c.Limits.MaxInflightBytes/4
}
