package cold

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/bench/phase"
	"github.com/scribe-ledger/scribe/tier/s3test"
)

// Options say what is measured. Zero means the default given.
type Options struct {
	Entries     int           // in the ledger that is read, uploaded and restored; 2,000,000
	Rounds      int           // of each part; 3
	Reads       int           // point reads of a round; 2000
	Gets        int           // plain GETs at a time; 8
	PieceBytes  int64         // of a plain GET; 4 MiB
	Files       int           // uploads at a time; 2
	UploadBytes int64         // of a round and a side; 2 GiB
	PartBytes   int64         // of our uploads; s3store's default
	Parallel    int           // parts of ours under way; s3store's default
	Delay       time.Duration // of each answer of the store, and bytes per second of all: it is on this machine, and gives
	Rate        float64       // them faster than any other would
	Writers     int           // 64
	WriteRate   int           // writes a second, in all; 2000
	Turn        time.Duration // of one condition of the store; 6 s
	Calm        time.Duration // of each turn in which it works; as Turn
	Zstd        bool          // in place of S2
	Kind        string        // of the store's server; versitygw
	Profiles    string        // directory for CPU profiles of our own side; none
	Dir         string        // for temporary data; the system's
	Program     string        // that runs a phase when it is given -child and a plan
	Log         io.Writer     // a line for each phase; none
}

func (o Options) withDefaults() Options {
	for _, v := range []struct {
		is *int
		as int
	}{{&o.Entries, 2_000_000}, {&o.Rounds, 3}, {&o.Reads, 2000}, {&o.Gets, 8}, {&o.Files, 2}, {&o.Writers, 64},
		{&o.WriteRate, 2000}} {
		if *v.is == 0 {
			*v.is = v.as
		}
	}
	if o.PieceBytes == 0 {
		o.PieceBytes = 4 << 20
	}
	if o.UploadBytes == 0 {
		o.UploadBytes = 2 << 30
	}
	if o.Turn == 0 {
		o.Turn = 6 * time.Second
	}
	if o.Calm == 0 {
		o.Calm = o.Turn
	}
	if o.Kind == "" {
		o.Kind = s3test.VersityGW
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

// plan is what a child is told.
type plan struct {
	Phase  string
	Dir    string // of its own, empty
	Source string // data directory of the node that has made the data
	Bucket bucket
	Options
}

// lab is a store, and a ledger that was published in it.
type lab struct {
	opts    Options
	dir     string
	server  *s3test.Server
	bucket  bucket
	built   bool
	results map[string][]float64
	names   []string // of results, in the order of measurement
}

func newLab(o Options) (*lab, error) {
	o = o.withDefaults()
	dir, err := os.MkdirTemp(o.Dir, "cold")
	if err != nil {
		return nil, err
	}
	s, err := s3test.Run(o.Kind, dir, 0)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	b := bucket{Endpoint: s.Endpoint, Region: s.Region, Name: s.Bucket, AccessKey: s.AccessKey, SecretKey: s.SecretKey,
		PartBytes: o.PartBytes, Parallel: o.Parallel, Delay: o.Delay, Rate: o.Rate}
	return &lab{opts: o, dir: dir, server: s, bucket: b, results: map[string][]float64{}}, nil
}

func (l *lab) close() error {
	l.server.Stop()
	return os.RemoveAll(l.dir)
}

// part runs the phases of one part of the benchmark, as often as there are rounds.
func (l *lab) part(ctx context.Context, p part) error {
	if p.needsData && !l.built {
		l.built = true
		if err := l.phase(ctx, "build"); err != nil {
			return err
		}
	}
	rounds := l.opts.Rounds
	if p.once {
		rounds = 1
	}
	for round := range rounds {
		phases := slices.Clone(p.phases)
		if round%2 == 1 {
			slices.Reverse(phases)
		}
		for _, name := range phases {
			if err := l.phase(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// phase runs a phase in a process of its own and keeps its figures.
func (l *lab) phase(ctx context.Context, name string) error {
	p := plan{Phase: name, Dir: filepath.Join(l.dir, name), Source: filepath.Join(l.dir, "build"), Bucket: l.bucket, Options: l.opts}
	p.Log = nil
	if err := os.Mkdir(p.Dir, 0o755); err != nil {
		return err
	}
	began := time.Now()
	var got figures
	if err := phase.Child(ctx, l.opts.Program, p, &got); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(l.opts.Log, "%-10s %6.1fs", name, time.Since(began).Seconds())
	for _, f := range got {
		fmt.Fprintf(l.opts.Log, "  %s=%.4g", f.Name, f.Value)
		if l.results[f.Name] == nil {
			l.names = append(l.names, f.Name)
		}
		l.results[f.Name] = append(l.results[f.Name], f.Value)
	}
	fmt.Fprintln(l.opts.Log)
	if name == "build" { // its files are uploaded later
		return nil
	}
	return os.RemoveAll(p.Dir)
}

// runPhase does what a plan says.
func runPhase(p plan) (figures, error) {
	run, ok := phases[p.Phase]
	if !ok {
		return nil, fmt.Errorf("no phase %q", p.Phase)
	}
	return run(p)
}
