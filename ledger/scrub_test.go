package ledger

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

func fileSize(t testing.TB, fsys vfs.FS, name string) int64 {
	t.Helper()
	info, err := fsys.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size
}

// TestVerifyCopyFindsEveryByte: no byte of a file or a meta tail may be another one, and none may be missing or too many. The
// owner is told of files.
func TestVerifyCopyFindsEveryByte(t *testing.T) {
	_, _, r := newTiered(t, 2)
	told := 0
	r.l.opts.Damaged = func(error) { told++ }
	ctx := context.Background()
	if err := r.l.Evict(ctx, ids(r.l)[1]); err != nil {
		t.Fatal(err)
	}
	for i, c := range r.l.Copies() {
		if size := fileSize(t, r.mem, c.File); c.Meta != (i == 1) || c.Bytes != uint64(size) || c.ID != ids(r.l)[i] {
			t.Fatalf("copy %d is %+v, of %d bytes", i, c, size)
		}
		if err := r.l.VerifyCopy(ctx, c, nil); err != nil {
			t.Fatal(err)
		}
		check := func(what string, at int64) {
			t.Helper()
			told, r.l.damage.files = 0, nil
			var corrupt *vfs.CorruptError
			if err := r.l.VerifyCopy(ctx, c, nil); !errors.As(err, &corrupt) || corrupt.File != c.File {
				t.Fatalf("%s at %d of %d of %s: %v", what, at, c.Bytes, c.File, err)
			}
			if c.Meta != (told == 0) {
				t.Fatalf("%s of %s: the owner was told %d times", what, c.File, told)
			}
		}
		for at := range int64(c.Bytes) {
			flipByte(t, r.mem, c.File, at)
			check("a flip", at)
			flipByte(t, r.mem, c.File, at)
		}
		f, err := r.mem.OpenRW(c.File)
		if err != nil {
			t.Fatal(err)
		}
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, int64(c.Bytes)-1); err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(int64(c.Bytes) - 1); err != nil {
			t.Fatal(err)
		}
		check("a cut", int64(c.Bytes)-1)
		if _, err := f.WriteAt(append(last, 0), int64(c.Bytes)-1); err != nil {
			t.Fatal(err)
		}
		check("a byte too many", int64(c.Bytes))
		if err := f.Truncate(int64(c.Bytes)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Close(), r.l.VerifyCopy(ctx, c, nil)); err != nil {
			t.Fatal(err)
		}
		if err := r.mem.Remove(c.File); err != nil {
			t.Fatal(err)
		}
		check("a missing file", 0)
	}
}

// TestVerifyCopyIsPaced: every byte that is read is told of, piece by piece, and who paces it can end it.
func TestVerifyCopyIsPaced(t *testing.T) {
	c := &cluster{t: t}
	r := newReplica(t, nil)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range 12 {
		value := make([]byte, 60_000)
		for j := range value {
			value[j] = byte(random.Uint32())
		}
		c.add(mustEncode(t, &Command{Ops: []WriteOp{{Op: tlog.OpPut, Key: []byte{byte(i)}, Value: value}}}))
	}
	c.seal(r.l)
	cp := r.l.Copies()[0]
	var pieces []int
	sum := 0
	err := r.l.VerifyCopy(context.Background(), cp, func(_ context.Context, n int) error {
		pieces = append(pieces, n)
		sum += n
		return nil
	})
	if err != nil || sum < int(cp.Bytes) || sum > int(cp.Bytes)*5/4 {
		t.Fatalf("%d bytes are told of, the file has %d: %v", sum, cp.Bytes, err)
	}
	for _, n := range pieces {
		if n > pacePiece+70_000 {
			t.Fatalf("pieces are %v", pieces)
		}
	}
	stop := errors.New("enough")
	calls := 0
	err = r.l.VerifyCopy(context.Background(), cp, func(context.Context, int) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Fatalf("after %d calls: %v", calls, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = r.l.VerifyCopy(ctx, cp, func(context.Context, int) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := r.l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.l.VerifyCopy(context.Background(), cp, nil); !errors.Is(err, ErrClosed) || len(r.l.Copies()) != 0 {
		t.Fatal(err)
	}
}

// TestVerifyCopyWhileItGoes: a segment that is evicted, fetched, merged or replaced while it is read, or before, is no
// damage, whatever its file holds by then.
func TestVerifyCopyWhileItGoes(t *testing.T) {
	ctx := context.Background()
	for name, goes := range map[string]func(t *testing.T, l *Ledger, id string) error{
		"evicted": func(_ *testing.T, l *Ledger, id string) error { return l.Evict(ctx, id) },
		"fetched": func(_ *testing.T, l *Ledger, id string) error { return errors.Join(l.Evict(ctx, id), l.Fetch(ctx, id)) },
		"repaired": func(t *testing.T, l *Ledger, id string) error {
			s := stage(t, l, l, StageOptions{Doubt: map[string]bool{id: true}})
			_, err := fetchObject(t, s, examine(t, s)[0], 1000)
			return errors.Join(err, l.Repair(s))
		},
		"renewed": func(_ *testing.T, l *Ledger, id string) error {
			return errors.Join(l.Evict(ctx, id), l.RenewMeta(ctx, id))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, r := newTiered(t, 2)
			before := r.l.Copies()[0]
			if err := r.l.ListObject(before.ID); err != nil {
				t.Fatal(err)
			}
			told := 0
			r.l.opts.Damaged = func(error) { told++ }
			// In the middle of the file: at the first block the segment goes, and what is left of its file is damaged.
			gone := false
			err := r.l.verifyWith(ctx, before, func() {
				if !gone {
					gone = true
					flipByte(t, r.mem, before.File, 40)
					flipByte(t, r.mem, before.File, int64(before.Bytes)/2)
					if err := goes(t, r.l, before.ID); err != nil {
						t.Fatal(err)
					}
				}
			})
			if !errors.Is(err, ErrNoSegment) || told != 0 || !gone {
				t.Fatalf("%v, told %d times", err, told)
			}
			here := name == "fetched" || name == "repaired"
			if err := r.l.VerifyCopy(ctx, before, nil); !here && !errors.Is(err, ErrNoSegment) || here && err != nil || told != 0 {
				t.Fatalf("afterwards: %v, told %d times", err, told)
			}
		})
	}
	c := newCluster2(t)
	for i := range 2 {
		c.segment(i, true)
	}
	before := c.leader.l.Copies()
	wants := c.leader.l.MergesLeft(true)
	if len(before) != 2 || len(wants) != 1 {
		t.Fatalf("%d segments, %d merges", len(before), len(wants))
	}
	err := c.leader.l.verifyWith(ctx, before[1], func() {
		if wants == nil {
			return
		}
		flipByte(t, c.leader.mem, before[1].File, 40) // after the merge has read it
		flipByte(t, c.leader.mem, before[1].File, 40)
		c.apply(wants[0].Data)
		c.merge(c.leader)
		wants = nil
		flipByte(t, c.leader.mem, before[1].File, 40)
	})
	if !errors.Is(err, ErrNoSegment) || wants != nil {
		t.Fatal(err)
	}
	if err := compactAll(c.leader.l); err != nil {
		t.Fatal(err)
	}
	for _, cp := range before { // held up by nobody
		if _, err := c.leader.mem.Stat(cp.File); err == nil {
			t.Fatalf("%s is there yet", cp.File)
		}
		if err := c.leader.l.VerifyCopy(ctx, cp, nil); !errors.Is(err, ErrNoSegment) {
			t.Fatal(err)
		}
	}
}

// verifyWith is VerifyCopy with something that happens before each read of the file.
func (l *Ledger) verifyWith(ctx context.Context, c Copy, before func()) error {
	t, err := l.borrowCopy(c)
	if err != nil {
		return err
	}
	defer t.release()
	return l.verifyTable(c, t, &copySource{ctx: ctx, table: t, file: hookedFile{t.file, before}, name: c.File})
}

type hookedFile struct {
	vfs.File
	before func()
}

func (f hookedFile) ReadAt(p []byte, off int64) (int, error) {
	f.before()
	return f.File.ReadAt(p, off)
}

// TestCopiesWithoutState: while there is none, there are none.
func TestCopiesWithoutState(t *testing.T) {
	r := newReplica(t, func(o *Options) { o.Rebuild = true })
	if got := r.l.Copies(); got != nil {
		t.Fatalf("%+v", got)
	}
	if err := r.l.VerifyCopy(context.Background(), Copy{ID: strings.Repeat("0", 33)}, nil); !errors.Is(err, ErrRebuilding) {
		t.Fatal(err)
	}
}
