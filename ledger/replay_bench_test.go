//go:build linux

package ledger

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tlog"
)

// BenchmarkReplay is a log applied to a new ledger, as after a crash, with nothing sealed on the way: a million puts of 256
// bytes under random keys of 16, in commands of one op and of a hundred. The processors' time is a figure of its own, and
// so is the part of it that the apply loop takes, which is what bounds the speed when nothing else wants the other cores.
func BenchmarkReplay(b *testing.B) {
	const entries = 1_000_000
	for _, ops := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d-op", ops), func(b *testing.B) {
			commands := replayCommands(b, entries/ops, ops)
			b.SetBytes(entries * (16 + 256))
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var used, own time.Duration
			for b.Loop() {
				b.StopTimer()
				l := benchLedger(b)
				began, beganOwn := processorTime(b, syscall.RUSAGE_SELF), processorTime(b, syscall.RUSAGE_THREAD)
				b.StartTimer()
				replay(b, l, commands)
				used += processorTime(b, syscall.RUSAGE_SELF) - began
				own += processorTime(b, syscall.RUSAGE_THREAD) - beganOwn
			}
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/entries, "cpu-ns/entry")
			b.ReportMetric(float64(own.Nanoseconds())/float64(b.N)/entries, "loop-ns/entry")
		})
	}
}

// replay applies commands in batches of 32 MiB, which is about what is read of a log while the batch before is applied.
func replay(b *testing.B, l *Ledger, commands [][]byte) {
	var batch []Committed
	var results []Result
	size := 0
	for i, c := range commands {
		batch = append(batch, Committed{uint64(i + 1), 1, c})
		if size += len(c); size < 32<<20 && i+1 < len(commands) {
			continue
		}
		var err error
		if results, err = l.ApplyBatch(batch, results[:0]); err != nil {
			b.Fatal(err)
		}
		batch, size = batch[:0], 0
	}
}

func replayCommands(b *testing.B, commands, ops int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	cmd := &Command{Ops: make([]WriteOp, ops)}
	for i := range cmd.Ops {
		cmd.Ops[i] = WriteOp{Op: tlog.OpPut, Key: make([]byte, 16), Value: make([]byte, 256)}
	}
	out := make([][]byte, commands)
	for n := range out {
		for i := range cmd.Ops {
			op := &cmd.Ops[i]
			for _, bytes := range [][]byte{op.Key, op.Value} {
				for j := 0; j < len(bytes); j += 8 {
					binary.LittleEndian.PutUint64(bytes[j:], rng.Uint64())
				}
			}
		}
		var err error
		if out[n], err = EncodeWrite(cmd); err != nil {
			b.Fatal(err)
		}
	}
	return out
}

// processorTime is what the process, or the thread, has used of it.
func processorTime(b *testing.B, whose int) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(whose, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
