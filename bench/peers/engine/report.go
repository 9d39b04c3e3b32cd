package engine

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/scribe-ledger/scribe/bench/phase"
)

// goals are what the ratio Scribe to Pebble, or where absolute is set the figure of Scribe alone, should be.
var goals = map[string]string{
	"durable writes, 256 writers, entries/s":   "≥ 1.0",
	"bulk load, entries/s":                     "≥ 0.8",
	"point reads, present, hot cache, reads/s": "≥ 1.0",
	"point reads, absent, reads/s":             "≥ 1.0",
	"point reads, cache a tenth, reads/s":      "≥ 1.0",
	"forward scan, entries/s":                  "≥ 1.0",
	"reverse scan, entries/s":                  "≥ 1.0",
	"short scans of 100, scans/s":              "≥ 0.8",
	"on disk without log files, bytes/entry":   "≤ 1.25",
	"written per byte stored, durable writes":  "≤ 5 of our own",
	"written per byte stored, bulk load":       "≤ 5 of our own",
	"open, ms":                                 "≤ 1000 ms",
	"read at open, MiB":                        "< 64 MiB",
	"recovery of an unflushed log, MB/s":       "≥ 300 MB/s",
	"peak memory of the load, MiB":             "< 512 MiB",
	"durable writes, p99.9, ms":                "≤ 5 × p50",
	"durable writes, slowest, ms":              "≤ 250 ms",
}

// row is one line of the table: medians of either side.
type row struct {
	name                   string
	pebble, scribe, device float64
	pebbleCPU, scribeCPU   float64
	ratio, ratioOfCPU      float64
	hasPebble, hasCPURatio bool
}

// rows puts the medians side by side, in the order of measurement.
func rows(r results) []row {
	var out []row
	var names []string
	for _, side := range []string{"scribe", "pebble", "device"} {
		for _, round := range r[side] {
			for _, f := range round {
				if !slices.Contains(names, f.Name) {
					names = append(names, f.Name)
				}
			}
		}
	}
	for _, name := range names {
		x := row{name: name}
		x.scribe, x.scribeCPU = median(r["scribe"], name)
		x.pebble, x.pebbleCPU = median(r["pebble"], name)
		x.device, _ = median(r["device"], name)
		if x.hasPebble = x.pebble != 0; x.hasPebble {
			x.ratio = x.scribe / x.pebble
		}
		if x.hasCPURatio = x.pebbleCPU != 0; x.hasCPURatio {
			x.ratioOfCPU = x.scribeCPU / x.pebbleCPU
		}
		out = append(out, x)
	}
	return out
}

func median(rounds []figures, name string) (value, cpu float64) {
	var values, cpus []float64
	for _, round := range rounds {
		for _, f := range round {
			if f.Name == name {
				values, cpus = append(values, f.Value), append(cpus, f.CPU)
			}
		}
	}
	return middle(values), middle(cpus)
}

func middle(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// report writes the table, with a column for the device where it was measured.
func report(w io.Writer, r results) {
	head, rule := "| | Pebble | Scribe | ratio | ratio by CPU time | goal |", "|---|---|---|---|---|---|"
	if len(r["device"]) > 0 {
		head, rule = head+" the device alone |", rule+"---|"
	}
	fmt.Fprintln(w, head)
	fmt.Fprintln(w, rule)
	for _, x := range rows(r) {
		cells := []string{x.name, phase.Number(x.pebble), phase.Number(x.scribe), "–", "–", "–"}
		if x.hasPebble {
			cells[3] = fmt.Sprintf("%.2f", x.ratio)
		}
		if x.hasCPURatio {
			cells[4] = fmt.Sprintf("%.2f", x.ratioOfCPU)
		}
		if g, ok := goals[x.name]; ok {
			cells[5] = g
		}
		if len(r["device"]) > 0 {
			cells = append(cells, phase.Number(x.device))
		}
		fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |")
	}
}
