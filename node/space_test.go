package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

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

// TestFullDiskShows: a disk without space for another log file is a warning as long as the present one takes writes, and
// a fault only then.
func TestFullDiskShows(t *testing.T) {
	fsys := vfs.NewMem()
	fsys.SetLimit(1 << 20) // a log file, and not enough to leave for segments
	opts := testOptions(fsys)
	opts.Ledger.SealBytes = 1 << 30
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
