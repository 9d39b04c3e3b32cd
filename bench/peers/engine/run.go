package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/bench/dataset"
	"github.com/scribe-ledger/scribe/bench/phase"
)

// Options say what is measured. Zero means the default given.
type Options struct {
	Entries    int           // 1,000,000
	Rounds     int           // 3
	CacheBytes int64         // of the hot cache; twice the keys and values
	Writers    int           // 256
	Batch      int           // entries in one batch of the bulk load; 1000
	LogBytes   int64         // of the log that is recovered; 256 MiB
	Durable    int           // entries that are written durably; a fifth of all, at least 500,000
	Soak       time.Duration // how long each side takes durable writes, in place of Durable
	Zstd       bool          // in place of Snappy and S2
	Phases     []string      // all
	Sides      []string      // "pebble" and "scribe"; "device" only when asked for
	Dir        string        // for temporary data; the system's
	Program    string        // that runs a phase when it is given -child and a plan
	Log        io.Writer     // a line for each phase; none
}

func (o Options) withDefaults() Options {
	if o.Entries == 0 {
		o.Entries = 1_000_000
	}
	if o.Rounds == 0 {
		o.Rounds = 3
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 2 * int64(o.Entries) * dataset.EntryBytes
	}
	if o.Writers == 0 {
		o.Writers = 256
	}
	if o.Batch == 0 {
		o.Batch = 1000
	}
	if o.Durable == 0 {
		o.Durable = max(o.Entries/5, 500_000)
	}
	if o.LogBytes == 0 {
		o.LogBytes = 256 << 20
	}
	if len(o.Sides) == 0 {
		o.Sides = []string{"pebble", "scribe"}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

// results are the figures of all rounds, by side.
type results map[string][]figures

// Run measures both sides.
func Run(ctx context.Context, o Options) (results, error) {
	o = o.withDefaults()
	out := results{}
	for round := range o.Rounds {
		dir, err := os.MkdirTemp(o.Dir, "engine")
		if err != nil {
			return nil, err
		}
		err = runRound(ctx, o, round, dir, out)
		if rerr := os.RemoveAll(dir); err == nil {
			err = rerr
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func runRound(ctx context.Context, o Options, round int, dir string, out results) error {
	sides := slices.Clone(o.Sides)
	if round%2 == 1 {
		slices.Reverse(sides)
	}
	for _, side := range o.Sides {
		out[side] = append(out[side], nil)
	}
	for _, x := range phases {
		if len(o.Phases) > 0 && !slices.Contains(o.Phases, x.name) {
			continue
		}
		for _, side := range sides {
			p := plan{Side: side, Phase: x.name, Entries: o.Entries, CacheBytes: o.CacheBytes, Writers: o.Writers,
				Batch: o.Batch, LogBytes: o.LogBytes, Durable: o.Durable, Soak: o.Soak, Zstd: o.Zstd}
			switch p.Dir = filepath.Join(dir, side); x.name {
			case "durable", "crash", "recover":
				p.Dir += "-" + map[bool]string{true: "durable", false: "crash"}[x.name == "durable"]
			}
			if err := os.MkdirAll(p.Dir, 0o755); err != nil {
				return err
			}
			began := time.Now()
			var got figures
			if err := phase.Child(ctx, o.Program, p, &got); err != nil {
				return fmt.Errorf("%s of %s: %w", x.name, side, err)
			}
			fmt.Fprintf(o.Log, "round %d  %-8s %-7s %6.1fs", round+1, x.name, side, time.Since(began).Seconds())
			for _, f := range got {
				fmt.Fprintf(o.Log, "  %s=%.4g", f.Name, f.Value)
			}
			fmt.Fprintln(o.Log)
			last := len(out[side]) - 1
			out[side][last] = append(out[side][last], got...)
		}
	}
	return nil
}
