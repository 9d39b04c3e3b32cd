package wal

import (
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestGoesOnInTheLastFile: where a recycled file, or a torn batch, would have the log begin a new file, and the disk has no
// space for one, it goes on in the last one. The power may go at any moment on the way there, again and again.
func TestGoesOnInTheLastFile(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		mem := vfs.NewMem()
		l := open(t, mem, m)
		var want model
		add := func(l *Log, want *model, size int) error {
			batch := run(want.last()+1, 2, 1, size)
			want.append(nil, batch)
			return l.Append(nil, batch)
		}
		for l.spares.bytes() == 0 { // until there is a file to recycle
			if err := add(l, &want, 600); err != nil {
				t.Fatal(err)
			}
			if err := l.Trim(want.last()); err != nil {
				t.Fatal(err)
			}
			want.trimmed = want.last()
		}
		for l.spares.bytes() > 0 { // it is in use
			if err := add(l, &want, 600); err != nil {
				t.Fatal(err)
			}
		}
		full := func() *vfs.Mem {
			c := crashAll(mem)
			c.SetLimit(c.Used())
			return c
		}

		sealed := full()
		crashed := open(t, sealed, m)
		if crashed.Rest() == 0 {
			t.Fatal("a full disk leaves the log without a place to append to")
		}
		grown := want
		if err := add(crashed, &grown, 100); err != nil {
			t.Fatalf("append on a full disk: %v", err)
		}
		// Nothing of an older life stands behind the end, where a later batch could lead up to it.
		last := crashed.active()
		for i, b := range last.buf[last.end:] {
			if b != 0 {
				t.Fatalf("%d bytes behind the end stands %#x", i, b)
			}
		}
		if err := grown.check(crashed); err != nil {
			t.Fatal(err)
		}
		if err := crashed.Close(); err != nil {
			t.Fatal(err)
		}

		// The same with the power cut before each call.
		for n := 0; ; n++ {
			disk := full()
			seen := 0
			var left *vfs.Mem
			hook := vfs.OnOp(func(op vfs.Op) {
				if op.Kind.Mutates() {
					if seen == n {
						left = disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})
					}
					seen++
				}
			})
			got, err := Open(Options{FS: vfs.NewInject(disk, hook), Dir: testDir, Owner: testOwner, FileBytes: 4096, Method: m})
			if err != nil {
				t.Fatal(err)
			}
			grown := want
			if err := add(got, &grown, 100); err != nil {
				t.Fatal(err)
			}
			got.Close()
			if left == nil {
				if n < 3 {
					t.Fatalf("only %d calls", n)
				}
				return
			}
			left.SetLimit(left.Used())
			again, err := Open(Options{FS: left, Dir: testDir, Owner: testOwner, FileBytes: 4096, Method: m})
			if err != nil {
				t.Fatalf("after a power cut at call %d: %v", n, err)
			}
			if err := want.check(again); err != nil {
				if grownErr := grown.check(again); grownErr != nil {
					t.Fatal(fmt.Errorf("after a power cut at call %d: %w", n, err))
				}
			}
			again.Close()
		}
	})
}
