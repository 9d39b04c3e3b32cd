package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
)

func TestFirstStartOnFullDisk(t *testing.T) {
	fsys := vfs.NewMem()
	fsys.SetLimit(64 << 10) // less than a log file
	n, err := Open(testOptions(fsys))
	if err == nil {
		n.Close()
		t.Error("a node without a log was founded")
	} else if !vfs.IsNoSpace(err) {
		t.Errorf("the error does not say that the disk is full: %v", err)
	}
	fsys.SetLimit(0)
	n = openNode(t, testOptions(fsys))
	if _, err := n.Write(context.Background(), put("key", "value")); err != nil {
		t.Fatal(err)
	}
}

// Writes for which a log file would have to be made that does not fit are refused before they enter the log, also when
// the write itself would fit; and they are taken again when there is space.
func TestWritesRefusedBeforeTheLogIsFull(t *testing.T) {
	fsys := vfs.NewMem()
	opts := testOptions(fsys)
	opts.WAL.FileBytes = 20 << 20 // more than what is free, less what segments are left
	opts.Ledger.SealBytes = 1 << 30
	n := openNode(t, opts)
	fsys.SetLimit(fsys.Used() + 18<<20)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	value := strings.Repeat("x", 1<<20)
	var err error
	for i := 0; err == nil; i++ {
		if i == 100 {
			t.Fatal("the disk is never full")
		}
		_, err = n.Write(ctx, put("key", value))
	}
	var refused *Unavailable
	if !errors.As(err, &refused) || refused.Reason != DiskFull {
		t.Fatalf("on a full disk: %v", err)
	}
	size, _ := n.Ledger().Root()
	fsys.SetLimit(0)
	r, err := n.Write(ctx, put("key", value))
	for errors.As(err, &refused) && refused.Reason == DiskFull {
		r, err = n.Write(ctx, put("key", value))
	}
	if err != nil || r.FirstSeq != size {
		t.Fatalf("after the disk had space again: seq %d after %d entries, %v", r.FirstSeq, size, err)
	}
}

// TestFullDiskShows: a disk without space for another log file is a warning as long as the present one takes writes,
// and a fault only then.
func TestFullDiskShows(t *testing.T) {
	fsys := vfs.NewMem()
	fsys.SetLimit(1 << 20) // a log file, and not enough to leave for segments
	opts := testOptions(fsys)
	opts.Ledger.SealBytes = 1 << 30
	opts.DiskReserveBytes = 1
	n := openNode(t, opts)
	if n.prepare() {
		t.Fatal("a second log file is ready")
	}
	ctx := context.Background()
	for _, size := range []int{20 << 10, 1 << 10, 0} {
		cmd := put("k", strings.Repeat("x", size))
		for i := 0; ; i++ {
			if st := n.Status(); i == 0 && size > 0 && (st.WritesFault != "" || st.Warning == "") {
				t.Errorf("writes of %d bytes fit, and the status says %q, warning %q", size, st.WritesFault, st.Warning)
			}
			_, err := n.Write(ctx, cmd)
			if err == nil && i < 1000 {
				continue
			}
			var refused *Unavailable
			if !errors.As(err, &refused) || refused.Reason != DiskFull {
				t.Fatalf("on a full disk: %v", err)
			}
			break
		}
	}
	if st := n.Status(); !strings.Contains(st.WritesFault, "full") {
		t.Errorf("writes are refused, and the status says %q", st.WritesFault)
	}
	fsys.SetLimit(0)
	if !n.prepare() {
		t.Fatal("there is space, and no log file")
	}
	if _, err := n.Write(ctx, put("k", "")); err != nil {
		t.Fatal(err)
	}
	if st := n.Status(); st.WritesFault+st.Warning != "" {
		t.Errorf("with space again: %q, warning %q", st.WritesFault, st.Warning)
	}
}

// TestLogLeavesSpaceForSegments lets the log fill a disk on which a log and segments as large as they may be do not fit
// together: it stops in time, what it holds can be flushed, and writes go on in the space that this makes. The log has
// room for the seal that it takes, even when others have taken all of the disk.
func TestLogLeavesSpaceForSegments(t *testing.T) {
	fsys := vfs.NewMem()
	const disk = 46 << 20
	fsys.SetLimit(disk)
	opts := testOptions(fsys)
	opts.WAL.FileBytes = 4 << 20
	opts.Ledger.SealBytes = 24 << 20
	opts.Ledger.SealAge = time.Hour
	opts.DiskReserveBytes = 1 // it is the log's own limit that counts here
	opts.Ledger.Compression = segfile.NoCompression
	var later atomic.Int64
	opts.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	n := openNode(t, opts)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := put("key", strings.Repeat("x", 256<<10))
	var refused *Unavailable
	var err error
	for _, cmd := range []*ledger.Command{cmd, put("key", strings.Repeat("x", 4<<10)), put("key", "")} {
		for i := 0; ; i++ {
			if i == 1000 {
				t.Fatal("the disk is never full")
			}
			if _, err = n.Write(ctx, cmd); err != nil {
				break
			}
		}
		if !errors.As(err, &refused) || refused.Reason != DiskFull {
			t.Fatalf("on a full disk: %v", err)
		}
	}
	if room := n.log.Room(); room < 2<<10 {
		t.Errorf("%d bytes of the log are left for seals", room)
	}
	full, _ := n.Ledger().Root()
	later.Store(int64(2 * time.Hour)) // what is in memory is now old enough to be sealed
	fsys.SetLimit(fsys.Used())
	if err := n.ledger.WaitInstalled(ctx, full); !vfs.IsNoSpace(err) {
		t.Fatalf("no space for segments, and a seal gets %v", err)
	}
	fsys.SetLimit(disk)
	for err := vfs.ErrInjected; err != nil; err = n.ledger.WaitInstalled(ctx, full) {
		if ctx.Err() != nil {
			t.Fatalf("flush of what the log took: %v", err)
		}
	}
	for errors.As(err, &refused) {
		_, err = n.Write(ctx, cmd)
	}
	if err != nil {
		t.Fatal(err)
	}
}
