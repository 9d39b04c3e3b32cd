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
