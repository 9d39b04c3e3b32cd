//go:build !race

package ledger

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
)

// It runs in one goroutine, so the race detector would find nothing in it and make it ten times slower; what runs beside
// each other is in concurrent_test.go.

// TestModel: whatever is done to a ledger, in whatever state its memtables and segments are, it answers as the model.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewMem()
		x := &machine{opts: testOptions(mem), m: newModel(testWindow), store: newObjects(),
			objects: map[manifest.Range]manifest.Object{}}
		x.opts.Cold = x.store
		x.opts.Compression = rapid.SampledFrom([]segfile.Compression{segfile.Zstd, segfile.S2}).Draw(t, "compression")
		x.opts.CompactFanIn = rapid.SampledFrom([]int{2, 2, 3, -1}).Draw(t, "fan-in")
		x.opts.CompactMaxBytes = rapid.SampledFrom([]int64{1 << 30, 20_000}).Draw(t, "largest segment")
		x.reopen(t, mem)
		t.Repeat(map[string]func(*rapid.T){
			"":           x.check,
			"write":      x.write,
			"write more": x.write,
			"write lots": x.write,
			"look":       x.look,
			"look more":  x.look,
			"bulk":       x.bulk,
			"seal":       x.seal,
			"propose":    x.propose,
			"again":      x.again,
			"flush":      x.flush,
			"flush more": x.flush,
			"merge":      x.mergeAny,
			"compact":    x.compact,
			"compacts":   x.compact,
			"settle":     x.settle,
			"restart":    x.restart,
			"read":       x.read,
			"read more":  x.read,
			"read lots":  x.read,
			"walk on":    x.walkOn,
			"upload":     x.upload,
			"tiered":     x.tieredAny,
			"evict":      x.evict,
			"evict more": x.evict,
			"fetch":      x.fetch,
		})
		x.finish(t)
	})
}
