package cold

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/scribe-ledger/scribe/bench/phase"
)

// row of the table: a figure of ours, what it is held against, and the goal.
type row struct {
	ours, against string
	goal          string
}

// rows of the parts. A row without a figure to hold it against has its goal for the figure itself.
var rows = []row{
	{"point read, median, ms", "point read: the store's own GET, median, ms", ""},
	{"point read: difference of medians, ms", "", "≤ 0.5"},
	{"point read, p99, ms", "point read: the store's own GET, p99, ms", ""},
	{"point read: requests, mean", "", "1"},
	{"point read: requests, most", "", "1"},
	{"point read: bytes, mean", "", ""},
	{"point read: bytes, most", "", "a block + 4 KiB"},
	{"scan, MB/s", "scan: plain parallel GETs, MB/s", "≥ 0.6"},
	{"scan, of keys and values, MB/s", "", ""},
	{"scan, entries/s", "", ""},
	{"upload: hash and put, MB/s", "upload: the SDK's transfer manager, MB/s", "≥ 0.8"},
	{"upload: hash and put, MB/s", "upload: the SDK's transfer manager with SHA-256, MB/s", ""},
	{"upload: read back, MB/s", "", ""},
	{"upload, hashed and read back, MB/s", "upload: the SDK's transfer manager, MB/s", ""},
	{"upload, verified, hashed and read back, MB/s", "upload: the SDK's transfer manager, MB/s", ""},
	{"upload, hashed and read back: memory grew by, MiB", "upload: the SDK's transfer manager: memory grew by, MiB", "< 64 MiB"},
	{"upload, verified, hashed and read back: memory grew by, MiB", "", ""},
	{"restore, all fetched, MB/s", "restore: plain parallel GETs into files, MB/s", "≥ 0.8"},
	{"restore, all fetched, MB/s", "restore: plain parallel GETs into files, synced, MB/s", ""},
	{"restore, all fetched, s", "", ""},
	{"restore, serving reads, s", "", "≤ 5"},
	{"writes, it answers 503: p99, ms", "writes, the store works: p99, ms", "≤ 1.2"},
	{"writes, it answers nothing: p99, ms", "writes, the store works: p99, ms", "≤ 1.2"},
	{"writes, it works again: p99, ms", "writes, the store works: p99, ms", ""},
	{"writes, it answers 503: p50, ms", "writes, the store works: p50, ms", ""},
	{"writes, it answers nothing: p50, ms", "writes, the store works: p50, ms", ""},
	{"writes: windows left out", "writes: windows", ""},
	{"writes: until all is uploaded once the store is back, s", "", ""},
}

func (l *lab) median(name string) (float64, bool) {
	v := slices.Clone(l.results[name])
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2, true
}

// report writes the table of what was measured.
func (l *lab) report(w io.Writer) {
	fmt.Fprintln(w, "| | Scribe | beside | | ratio | goal |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for _, r := range rows {
		ours, ok := l.median(r.ours)
		if !ok {
			continue
		}
		cells := []string{r.ours, phase.Number(ours), "–", "–", "–", "–"}
		if against, ok := l.median(r.against); ok {
			cells[2], cells[3], cells[4] = r.against, phase.Number(against), fmt.Sprintf("%.2f", ours/against)
		}
		if r.goal != "" {
			cells[5] = r.goal
		}
		fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |")
	}
}
