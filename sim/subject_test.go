package sim

import (
	"fmt"
	"math/rand/v2"
	"sort"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// variant is one way to set up a ledger, which must make no difference to anybody.
type variant struct {
	name     string
	lineage  int
	flushes  int // steps of each flush
	compacts int // steps of each compaction
	// options in the n-th life of the subject.
	options func(life int) Options
}

// knobs are what the variants differ in.
type knobs struct {
	method      wal.AppendMethod
	fileBytes   int64
	spares      int
	block       int
	compression segfile.Compression
	cache       int64
}

func (k knobs) options(life int) Options {
	return Options{Dir: "data",
		WAL: wal.Options{Method: k.method, FileBytes: k.fileBytes, SpareFiles: k.spares},
		Ledger: ledger.Options{SealAge: -1, BlockBytes: k.block, Compression: k.compression, BlockCacheBytes: k.cache,
			SealBytes: 1 << 50, CheckEvery: 500, CompactFanIn: 2, CompactBytesPerSecond: -1}}
}

// leading has the ledger want seals of its own at a size, and merges of at least so many segments.
func (k knobs) leading(seal int64, fanIn int) func(int) Options {
	return func(life int) Options {
		o := k.options(life)
		o.Ledger.SealBytes, o.Ledger.CompactFanIn = seal, fanIn
		return o
	}
}

// variants are in three lineages: memtables of 24 KiB, of which two segments are merged into one, of 6 KiB, of which four
// are, and as large as they get until the plan has them sealed, with no merging. The first of each leads: it decides what
// is sealed, merged and recorded. In a lineage the subjects differ in everything that is not in the log, and in how far
// behind it they are.
func variants() []variant {
	plain := knobs{wal.ByPwrite, 64 << 10, 0, 4 << 10, segfile.S2, 1 << 20}
	coarse := knobs{wal.ByStores, 128 << 10, -1, 16 << 10, segfile.Zstd, 64 << 20}
	fine := knobs{wal.ByPwrite, 16 << 10, 1, 300, segfile.NoCompression, 1}
	odd := knobs{wal.ByStores, 4 << 10, 4, 1 << 10, segfile.Zstd, 20 << 10}
	all := []knobs{plain, coarse, fine, odd}
	// changing takes other settings in each life.
	changing := func(life int) Options { return all[life%len(all)].options(life) }
	return []variant{
		{"plain", 0, 4, 3, plain.leading(24<<10, 2)},
		{"coarse", 0, 3, 1, coarse.options},
		{"fine", 0, 2, 4, fine.options},
		{"changing", 0, 4, 2, changing},
		{"behind, merges nothing", 0, 1, 0, plain.options},
		{"small memtables", 1, 4, 4, odd.leading(6<<10, 4)},
		{"small memtables, small blocks", 1, 4, 2, fine.options},
		{"large memtables", 2, 4, 1, fine.leading(1<<50, -1)},
		{"large memtables, changing", 2, 2, 1, changing},
	}
}

// subject is a ledger that is set up as a variant says, through all its lives.
type subject struct {
	variant
	line  *lineage
	leads bool

	mem   *vfs.Mem
	clock *Clock
	stack *Stack
	life  int

	sent    int      // commands of the lineage that were proposed in this life or are in the log
	indexes []uint64 // where the log has those that were applied
	next    int      // the command that is applied next
	wrong   error    // what Applied has met
	held    []held

	countdown int      // calls that change something until the power is cut; 0 for never
	cut       func()   // takes what that leaves
	left      *vfs.Mem // what that left
	acked     int      // commands that were applied before
}

// held is an iterator that is left open, and what it stands for.
type held struct {
	it    ledger.Iterator
	limit int
}

func (s *subject) open() error {
	o := s.options(s.life)
	s.life++
	o.FS = vfs.NewInject(s.mem, s.hook)
	o.Clock = s.clock
	o.Applied = s.applied
	if s.leads {
		o.Proposed = func(p Proposal) {
			s.line.add(p.Data)
			s.sent++
		}
	}
	var err error
	if s.stack, err = OpenStack(o); err != nil {
		return err
	}
	seal, _, _ := s.stack.Ledger().SealPoint()
	s.next = sort.Search(len(s.indexes), func(i int) bool { return s.indexes[i] > seal })
	if err := s.stack.Run(); err != nil {
		return err
	}
	if s.wrong == nil && s.next < len(s.indexes) {
		return fmt.Errorf("%d commands were applied, the log has %d", len(s.indexes), s.next)
	}
	s.sent = s.next
	return s.wrong
}

// applied takes in what became of a command.
func (s *subject) applied(at raft.Position, r ledger.Result) {
	n := s.next
	s.next++
	var err error
	switch {
	case n == len(s.indexes):
		s.indexes = append(s.indexes, at.Index)
	case s.indexes[n] != at.Index:
		err = fmt.Errorf("command %d stands at %d of the log, it stood at %d", n, at.Index, s.indexes[n])
	}
	if err == nil {
		err = s.line.result(n, r)
	}
	if s.wrong == nil {
		s.wrong = err
	}
}

// feed proposes what the log of the lineage has and this one has not.
func (s *subject) feed() error {
	for ; s.sent < len(s.line.commands); s.sent++ {
		if err := s.stack.Repeat(s.line.commands[s.sent]); err != nil {
			return err
		}
	}
	return nil
}

// run brings the subject to the end of its lineage's log.
func (s *subject) run() error {
	err := s.feed()
	if err == nil {
		err = s.stack.Run()
	}
	if err == nil {
		err = s.wrong
	}
	return err
}

// flush does some steps of flushing.
func (s *subject) flush() error { return s.work(s.flushes, s.stack.Flush) }

// compact does some steps of merging.
func (s *subject) compact() error { return s.work(s.compacts, s.stack.Compact) }

// work does some steps of work in the background; the leader proposes what comes of each.
func (s *subject) work(steps int, step func() (bool, error)) error {
	for range steps {
		if _, err := step(); err != nil {
			return err
		}
		if !s.leads {
			continue
		}
		if err := s.feed(); err != nil {
			return err
		}
		if err := s.stack.Wants(); err != nil {
			return err
		}
	}
	return nil
}

func (s *subject) close() error {
	err := s.stack.Close()
	s.stack = nil
	return err
}

func (s *subject) restart() error {
	if err := s.close(); err != nil {
		return err
	}
	return s.open()
}

// crash cuts the power before some call of some work that the subject does, and goes on with what that leaves.
func (s *subject) crash(o metaOp) error {
	s.countdown, s.acked = 1+int(o.a%40), 0
	s.left = nil
	r := rand.New(rand.NewPCG(o.b, 0))
	cut := func() {
		s.left = s.mem.CrashClone(vfs.CrashOptions{Keep: o.keep, Rand: r})
		s.acked = len(s.indexes)
	}
	s.cut = cut
	err := s.run()
	if err == nil {
		err = s.flush()
	}
	if err == nil {
		err = s.run()
	}
	if err == nil {
		err = s.compact()
	}
	if err == nil {
		_, err = s.stack.Trim()
	}
	s.countdown = 0
	if err != nil {
		return err
	}
	if s.left == nil {
		cut()
	}
	if err := s.close(); err != nil {
		return err
	}
	s.mem, s.left = s.left, nil
	s.indexes = s.indexes[:s.acked]
	return s.open()
}

// hook cuts the power when the countdown is over. What the subject does then is on a disk that is gone.
func (s *subject) hook(op vfs.Op) vfs.Decision {
	if s.countdown > 0 && op.Kind.Mutates() {
		if s.countdown--; s.countdown == 0 {
			s.cut()
		}
	}
	return vfs.Decision{}
}
