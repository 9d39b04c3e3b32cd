package sim

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"runtime"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// damageOptions keep the files small, so that every byte of each can be damaged.
func damageOptions(fs vfs.FS) Options {
	o := smallOptions(fs, wal.ByPwrite)
	o.WAL.FileBytes = 4 << 10
	o.Ledger.SealBytes, o.Ledger.BlockBytes = 8<<10, 512
	return o
}

// closedStack plays a script, with entries in segments and in the log at its end, and closes the stack.
func closedStack(t *testing.T) (*Player, *vfs.Mem) {
	mem := vfs.NewMem()
	p := NewPlayer(damageOptions(mem))
	err := p.Open()
	if err == nil {
		err = p.Play(Script(5, 60, Sizes{Small: 120, Large: 900, Every: 20}))
	}
	// Batches whose loss would show: the log ends with puts.
	for i := 0; i < 12 && err == nil; i++ {
		err = p.Play([]Step{{Kind: StepWrite, Write: &ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut,
			Key: fmt.Appendf(nil, "last/%d", i), Value: bytes.Repeat([]byte{byte(i)}, 100)}}}}, {Kind: StepRun}})
	}
	if err != nil {
		t.Fatal(err)
	}
	m := p.Stack.Ledger().Manifest()
	if n := len(m.Segments); n < 2 || m.TreeSize+8 > p.Model.Size() || p.Stack.Log().FirstIndex() == 1 {
		t.Fatalf("the script makes %d segments of %d entries of %d, its log begins at %d: too little to damage", n,
			m.TreeSize, p.Model.Size(), p.Stack.Log().FirstIndex())
	}
	if err := p.Stack.Close(); err != nil {
		t.Fatal(err)
	}
	return p, mem
}

// files lists all files below a directory.
func files(t *testing.T, fs vfs.FS, dir string) (out []string) {
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = path.Join(dir, name)
		info, err := fs.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir {
			out = append(out, files(t, fs, name)...)
		} else {
			out = append(out, name)
		}
	}
	return out
}

// TestFlippedBits flips a bit of every byte of every file. The stack refuses to open with an error that names the file,
// or every read of it gives what was written or such an error.
func TestFlippedBits(t *testing.T) {
	stride := int64(1)
	if testing.Short() || raceDetector {
		stride = 37
	}
	p, mem := closedStack(t)
	type flip struct {
		file string
		off  int64
	}
	flips := make(chan flip, 64)
	var workers sync.WaitGroup
	var counts [2]int
	var mu sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for f := range flips {
				name := fmt.Sprintf("%s/%d", f.file, f.off)
				refused, err := p.readDamaged(mem, f.file, f.off)
				mu.Lock()
				if err != nil && !t.Failed() {
					t.Errorf("bit flipped in byte %d of %s: %v\nrepeat with: go test ./sim -run '^TestFlippedBits$' "+
						"-args -case '%s'", f.off, f.file, err, name)
				}
				counts[0]++
				if refused {
					counts[1]++
				}
				mu.Unlock()
			}
		})
	}
	for _, file := range files(t, mem, "data") {
		info, err := mem.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		for off := int64(0); off < info.Size; off += stride {
			if wanted(fmt.Sprintf("%s/%d", file, off)) {
				flips <- flip{file, off}
			}
		}
	}
	close(flips)
	workers.Wait()
	if testing.Verbose() {
		t.Logf("%d damaged bytes, %d refused at the start", counts[0], counts[1])
	}
}

// readDamaged flips a bit of one byte, opens the stack and reads everything.
func (p *Player) readDamaged(mem *vfs.Mem, file string, off int64) (refused bool, err error) {
	left := mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	if err := flipBit(left, file, off); err != nil {
		return false, err
	}
	o := p.Options
	o.FS, o.Proposed, o.Applied, o.Clock = left, nil, nil, &Clock{micros: p.Options.Clock.micros}
	s, err := OpenStack(o)
	if err == nil {
		defer s.Close()
		err = s.Run()
	}
	r := reader{m: p.Model, file: file}
	if err != nil {
		return true, r.excuse(err)
	}
	r.l = s.Ledger()
	return false, r.everything(uint64(off))
}

func flipBit(fs vfs.FS, name string, off int64) error {
	f, err := fs.OpenRW(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		return err
	}
	b[0] ^= 1 << (off * 5 % 8)
	_, err = f.WriteAt(b[:], off)
	return err
}

// reader reads a ledger one file of which is damaged.
type reader struct {
	l    *ledger.Ledger
	m    *Model
	file string
}

// excuse lets an error pass that names the damaged file.
func (r *reader) excuse(err error) error {
	var corrupt *vfs.CorruptError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &corrupt):
		return err
	case corrupt.File == r.file:
		return nil
	case r.file == "data/wal/origin" && path.Dir(corrupt.File) == "data/wal":
		// With one record of the oldest file damaged, the older one counts: it asks for files that were trimmed.
		return nil
	}
	return err
}

// everything reads all entries in every way, and proves some of them.
func (r *reader) everything(salt uint64) error {
	size, root := r.l.Root()
	if size != r.m.Size() || root != r.m.Root(size) {
		return fmt.Errorf("%d entries with root %v, not %d with %v", size, root, r.m.Size(), r.m.Root(r.m.Size()))
	}
	if err := r.excuse(r.m.checkEntries(r.l, size)); err != nil {
		return err
	}
	for _, reverse := range []bool{false, true} {
		if err := r.excuse(r.scan(reverse)); err != nil {
			return err
		}
	}
	for key, newest := range r.m.newest {
		if err := r.excuse(r.m.checkGet(r.l, []byte(key), uint64(newest))); err != nil {
			return err
		}
		if err := r.excuse(r.history([]byte(key))); err != nil {
			return err
		}
	}
	for seq := range size {
		if err := r.excuse(r.bySeq(seq)); err != nil {
			return err
		}
		if (seq+salt)%16 != 0 {
			continue
		}
		if err := r.excuse(r.prove(seq)); err != nil {
			return err
		}
		if err := r.excuse(r.time(seq)); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) time(seq uint64) error {
	n, err := r.l.SeqAtTime(r.m.entries[seq].Time)
	if want := r.m.endOfTime(seq); err == nil && n != want {
		return fmt.Errorf("%d entries until the time of entry %d, not %d", n, seq, want)
	}
	return err
}

// endOfTime is how many entries have a time at or before that of entry seq.
func (m *Model) endOfTime(seq uint64) uint64 {
	n := seq
	for n < m.Size() && m.entries[n].Time <= m.entries[seq].Time {
		n++
	}
	return n
}

func (r *reader) scan(reverse bool) error {
	it, err := r.l.Scan(ledger.ScanOptions{Reverse: reverse, AsOf: ^uint64(0)})
	if err != nil {
		return err
	}
	defer it.Close()
	n := 0
	var last []byte
	for ; it.Next(); n++ {
		e := it.Entry()
		if c := bytes.Compare(e.Key, last); n > 0 && (c > 0) == reverse {
			return fmt.Errorf("scan gives %q after %q", e.Key, last)
		}
		last = bytes.Clone(e.Key)
		newest, written := r.m.newest[string(e.Key)]
		if !written {
			return fmt.Errorf("scan gives %q, which was never written", e.Key)
		}
		if err := r.m.same(e, uint64(newest)); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
	}
	if it.Err() != nil {
		return it.Err()
	}
	if want := r.m.live(); n != want {
		return fmt.Errorf("scan gives %d keys of %d", n, want)
	}
	return nil
}

// live counts the keys whose newest version is a put.
func (m *Model) live() (n int) {
	for _, seq := range m.newest {
		if m.entries[seq].Op == tlog.OpPut {
			n++
		}
	}
	return n
}

func (r *reader) history(key []byte) error {
	it, err := r.l.History(key, ^uint64(0), true)
	if err != nil {
		return err
	}
	defer it.Close()
	for seq := int(r.m.Size()) - 1; seq >= 0; seq-- {
		want := &r.m.entries[seq]
		if want.Op == tlog.OpSegment || !bytes.Equal(want.Key, key) {
			continue
		}
		if !it.Next() {
			if it.Err() != nil {
				return it.Err()
			}
			return fmt.Errorf("history of %q ends before entry %d", key, seq)
		}
		if err := r.m.same(it.Entry(), uint64(seq)); err != nil {
			return fmt.Errorf("history: %w", err)
		}
	}
	if it.Next() {
		return fmt.Errorf("history of %q goes on with entry %d", key, it.Entry().Seq)
	}
	return it.Err()
}

func (r *reader) bySeq(seq uint64) error {
	want := &r.m.entries[seq]
	e, err := r.l.Get(want.Key, ledger.Selector{Kind: ledger.BySeq, Seq: seq})
	if want.Op != tlog.OpPut {
		if errors.Is(err, ledger.ErrVersionNotFound) {
			return nil
		}
		return fmt.Errorf("get entry %d, which is no put: %w", seq, err)
	}
	if err != nil {
		return err
	}
	return r.m.same(e, seq)
}

func (r *reader) prove(seq uint64) error {
	want := &r.m.entries[seq]
	if want.Op == tlog.OpSegment {
		return nil
	}
	p, err := r.l.Prove(want.Key, ledger.Selector{Kind: ledger.BySeq, Seq: seq})
	if err != nil {
		return err
	}
	if p.Entry.Value == nil && p.Entry.ValueHash == want.ValueHash {
		p.Entry.Value = want.Value // a large one is not read for a proof
	}
	if err := r.m.same(p.Entry, seq); err != nil {
		return err
	}
	if p.Leaf != want.Leaf || p.Root != r.m.Root(p.TreeSize) {
		return fmt.Errorf("proof of entry %d for leaf %v and root %v", seq, p.Leaf, p.Root)
	}
	if err := merkle.VerifyInclusion(p.Leaf, seq, p.TreeSize, p.Inclusion, p.Root); err != nil {
		return err
	}
	if g := p.Segment; g != nil {
		return merkle.VerifyInclusion(p.Leaf, g.Ordinal, g.Entries, g.Inclusion, g.Root)
	}
	return nil
}

// TestTornTail damages what no sync has covered: the stack starts, with everything that was acknowledged.
func TestTornTail(t *testing.T) {
	for seed := range uint64(60) {
		name := fmt.Sprint(seed)
		if !wanted(name) {
			continue
		}
		if err := tornTail(seed); err != nil {
			failCase(t, name, err)
		}
	}
}

func tornTail(seed uint64) error {
	mem := vfs.NewMem()
	p := NewPlayer(damageOptions(mem))
	if err := p.Open(); err != nil {
		return err
	}
	script := Script(seed, 20, Sizes{Small: 120})
	if err := p.Play(script); err != nil {
		return err
	}
	// Garbage where the next batch would stand: it may begin like one, and end anywhere.
	left := mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})
	names, err := left.List("data/wal")
	if err != nil {
		return err
	}
	active := ""
	for _, name := range names {
		if len(name) == len("0000000000000000.log") && name > active {
			active = name
		}
	}
	f, err := left.OpenRW(path.Join("data/wal", active))
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	end := int64(len(bytes.TrimRight(b, "\x00"))+15) / 8 * 8
	r := rand.New(rand.NewPCG(seed, 11))
	garbage := make([]byte, r.Int64N(max(1, size-end)))
	for i := range garbage {
		garbage[i] = byte(r.Uint32())
	}
	if len(garbage) > 128 && seed%2 == 0 {
		copy(garbage, b[64:][:128]) // records of the same file, in another place
	}
	if _, err := f.WriteAt(garbage, min(end, size)); err != nil {
		return err
	}
	return p.survives(left)
}
