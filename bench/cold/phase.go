package cold

import (
	"time"
)

// figure is one thing that was measured.
type figure struct {
	Name  string
	Value float64
}

// figures in the order in which they were measured.
type figures []figure

func (f *figures) add(name string, value float64) { *f = append(*f, figure{name, value}) }

// rate adds bytes a second.
func (f *figures) rate(name string, bytes int64, took time.Duration) {
	f.add(name+", MB/s", float64(bytes)/1e6/took.Seconds())
}

// phases by name. build comes before those that read what it has left.
var phases = map[string]func(plan) (figures, error){
	"build": runBuild,
	"point": runPoint,
	"scan":  runScan, "scan-plain": runScanPlain,
	"sdk": runTransferManager, "sdk-sha256": runTransferManagerSHA256, "put": runPut, "upload": runUpload, "daemon": runDaemon,
	"fetch": runFetch, "download": runDownload, "serve": runServe,
	"writes": runWrites,
}

// part is what can be asked for by itself.
type part struct {
	name      string
	phases    []string // their order is turned in every other round
	needsData bool
	once      bool // it has rounds of its own
}

var parts = []part{
	{name: "point", phases: []string{"point"}, needsData: true},
	{name: "scan", phases: []string{"scan-plain", "scan"}, needsData: true},
	{name: "upload", phases: []string{"sdk", "sdk-sha256", "put", "upload", "daemon"}, needsData: true},
	{name: "restore", phases: []string{"download", "fetch", "serve"}, needsData: true},
	{name: "writes", phases: []string{"writes"}, once: true},
}
