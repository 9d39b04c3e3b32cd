package cold

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/bench/phase"
)

var (
	childPlan = flag.String("child", "", "run one phase of this `plan` and print its figures; for the benchmark itself")
	entries   = flag.Int("entries", 2_000_000, "entries of the ledger; 11,000,000 are 2 GiB of segments")
	rounds    = flag.Int("rounds", 3, "rounds of each part; the medians over them are compared")
	reads     = flag.Int("reads", 2000, "point reads of a round")
	gets      = flag.Int("gets", 8, "plain GETs at a time")
	piece     = flag.Int64("piece", 4<<20, "`bytes` of a plain GET")
	files     = flag.Int("files", 2, "uploads at a time")
	upload    = flag.Float64("upload", 2, "GiB of segments that each side uploads in a round")
	partBytes = flag.Int64("part", 0, "`bytes` of a part of ours; 0: 8 MiB")
	parallel  = flag.Int("parallel", 0, "parts of ours under way; 0: 4")
	delay     = flag.Duration("delay", 0, "what each answer of the store takes longer than it does on this machine; S3 takes 15ms and more")
	mbps      = flag.Float64("mbps", 0, "MB/s at which all its answers come; 0: as fast as they do")
	writers   = flag.Int("writers", 64, "goroutines that write durably")
	rate      = flag.Int("rate", 2000, "durable writes a second")
	turn      = flag.Duration("turn", 6*time.Second, "how long the store works, refuses or is silent; 5m for the real thing")
	calm      = flag.Duration("calm", 0, "how long it works before and between those turns; 0: as long as a turn")
	zstd      = flag.Bool("zstd", false, "zstd in place of S2")
	kind      = flag.String("store", "versitygw", "the store's server: versitygw or minio")
	profiles  = flag.String("profiles", "", "`directory` for CPU profiles of our own side")
	data      = flag.String("data", "", "`directory` for temporary data (default: the temporary one)")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *childPlan != "" {
		if err := phase.Answer(*childPlan, os.Stdout, runPhase); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func BenchmarkCold(b *testing.B) {
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	l, err := newLab(Options{Entries: *entries, Rounds: *rounds, Reads: *reads, Gets: *gets, PieceBytes: *piece, Files: *files, PartBytes: *partBytes, Parallel: *parallel,
		Delay: *delay, Rate: *mbps * 1e6,
		UploadBytes: int64(*upload * (1 << 30)), Writers: *writers, WriteRate: *rate, Turn: *turn, Calm: *calm, Zstd: *zstd, Kind: *kind,
		Profiles: *profiles, Dir: *data, Program: program, Log: os.Stderr})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		fmt.Printf("\n%d entries, %d rounds\n\n", *entries, *rounds)
		l.report(os.Stdout)
		if err := l.close(); err != nil {
			b.Error(err)
		}
	}()
	for _, p := range parts {
		ran := false
		b.Run(p.name, func(b *testing.B) {
			if ran { // a call of a part is one measurement, however often it is asked for
				return
			}
			ran = true
			if err := l.part(b.Context(), p); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(0, "ns/op") // says nothing here
		})
	}
}

// TestPartsRun runs every phase on little data; the phases check what they read.
func TestPartsRun(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLab(Options{Entries: 20_000, Rounds: 1, Reads: 50, UploadBytes: 20 << 20, Writers: 8, WriteRate: 200,
		Turn: 300 * time.Millisecond, Program: program, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, p := range parts {
		if err := l.part(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range rows {
		for _, name := range []string{r.ours, r.against} {
			if _, ok := l.median(name); !ok && name != "" {
				t.Errorf("there is no figure %q", name)
			}
		}
	}
	if got, _ := l.median("point read: requests, most"); got != 1 {
		t.Errorf("a point read made %v requests", got)
	}
}
