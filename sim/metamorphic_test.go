package sim

import (
	"bytes"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/vfs"
)

var (
	metaSeed = flag.Uint64("metamorphic.seed", 0, "the only seed of TestMetamorphic to run")
	metaOps  = flag.Int("metamorphic.ops", 0, "operations of TestMetamorphic; default a number that takes seconds")
)

// TestMetamorphic does the same random operations to ledgers that are set up in different ways, through restarts and
// power cuts, and compares every answer. There is no model that could be wrong: what must not make a difference, does not.
//
//	go test ./sim -run '^TestMetamorphic$' -args -metamorphic.ops 10000    # as many as `make metamorphic`
func TestMetamorphic(t *testing.T) {
	seeds, ops := []uint64{1, 2}, 600
	if testing.Short() || raceDetector {
		seeds, ops = seeds[:1], 250
	}
	if *metaOps > 0 {
		seeds, ops = seeds[:1], *metaOps
	}
	if *metaSeed > 0 {
		seeds = []uint64{*metaSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			p, err := playParty(plan(seed, ops))
			if err != nil {
				n, err := shorten(seed, p.done, err)
				t.Fatalf("seed %d, operation %d: %v\n%vrepeat with: go test ./sim -run '^TestMetamorphic$' -args "+
					"-metamorphic.seed %d -metamorphic.ops %d", seed, n, err, tail(plan(seed, n)), seed, n)
			}
			if testing.Verbose() {
				t.Logf("%d operations in %.1f s: %v", ops, time.Since(began).Seconds(), p)
			}
			if err := p.exercised(ops); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// maxShorten bounds the search for a shorter run that fails.
const maxShorten = time.Minute

// shorten looks for the shortest prefix of a seed's operations that fails when everything is read behind it: what an
// operation broke shows often only in a later one. It returns its length and its error.
func shorten(seed uint64, n int, err error) (int, error) {
	until := time.Now().Add(maxShorten)
	lo := 0 // bisection; a failure that comes and goes with the length leaves a longer one than there is, and no wrong one
	for lo+1 < n && time.Now().Before(until) {
		mid := (lo + n) / 2
		if p, e := playParty(plan(seed, mid)); e != nil {
			n, err = min(mid, p.done), e
		} else {
			lo = mid
		}
	}
	return n, err
}

// tail prints the last operations.
func tail(ops []metaOp) string {
	const n = 12
	var b strings.Builder
	for i := max(0, len(ops)-n); i < len(ops); i++ {
		fmt.Fprintf(&b, "%6d  %v\n", i+1, ops[i])
	}
	return b.String()
}

// party is all the subjects, and the lineages that they are of.
type party struct {
	subjects []*subject
	lines    []*lineage
	done     int // operations
	restarts int
	crashes  int
	answers  int
}

func (p *party) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d answers compared, %d restarts, %d power cuts", p.answers, p.restarts, p.crashes)
	for _, s := range p.subjects {
		m := s.stack.Ledger().Manifest()
		fmt.Fprintf(&b, "\n  %-30s %6d entries, %4d segments with %6d, %4d recorded", s.name, s.stack.Ledger().NextSeq(),
			len(m.Segments), m.TreeSize, s.recorded())
	}
	return b.String()
}

// playParty does operations to all subjects, and reads everything at the end.
func playParty(ops []metaOp) (p *party, err error) {
	p = &party{}
	defer func() {
		for _, s := range p.subjects {
			for _, h := range s.held {
				h.it.Close()
			}
			if s.stack != nil && err != nil {
				_ = s.close() // it has failed already
			}
		}
	}()
	for _, v := range variants() {
		leads := v.lineage == len(p.lines)
		if leads {
			p.lines = append(p.lines, newLineage())
		}
		s := &subject{variant: v, line: p.lines[v.lineage], leads: leads, mem: vfs.NewMem(), clock: &Clock{}}
		p.subjects = append(p.subjects, s)
		if err := s.open(); err != nil {
			return p, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for _, o := range append(ops[:len(ops):len(ops)], metaOp{do: doDrain}, metaOp{do: doAll}) {
		p.done++
		if err := p.do(o); err != nil {
			return p, fmt.Errorf("%v: %w", o, err)
		}
	}
	p.done = len(ops)
	return p, nil
}

// tick is the time between two operations, microseconds: more than the looks at the clock that one takes, so that what
// clients write has the same times in all lineages.
const tick = 1000

func (p *party) do(o metaOp) error {
	now := int64(p.done) * tick
	for _, s := range p.subjects {
		s.clock.micros = now
	}
	switch o.do {
	case doWrite, doSeal:
		for _, g := range p.lines {
			if o.do == doSeal {
				g.seal(now)
			} else if err := g.ask(o.cmd, now); err != nil {
				return err
			}
		}
		if !o.run {
			return p.each(^uint64(0), (*subject).feed)
		}
		return p.run()
	case doFlush:
		return p.each(o.who, (*subject).flush)
	case doCompact:
		return p.each(o.who, (*subject).compact)
	case doTrim:
		return p.each(o.who, func(s *subject) error {
			_, err := s.stack.Trim()
			return err
		})
	case doPrepare:
		return p.each(o.who, func(s *subject) error { return s.stack.Prepare() })
	case doRestart:
		return p.each(o.who, func(s *subject) error {
			p.restarts++
			return s.restart()
		})
	case doCrash:
		return p.each(o.who, func(s *subject) error {
			p.crashes++
			return s.crash(o)
		})
	}
	if err := p.run(); err != nil {
		return err
	}
	return p.compare(o)
}

// each does something to the subjects that are named.
func (p *party) each(who uint64, do func(*subject) error) error {
	for i, s := range p.subjects {
		if who>>i&1 == 0 {
			continue
		}
		if err := do(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// run has all commands applied everywhere, and compares what became of those of clients.
func (p *party) run() error {
	if err := p.each(^uint64(0), (*subject).run); err != nil {
		return err
	}
	first := p.lines[0].settle()
	for i, g := range p.lines[1:] {
		if got, want := strings.Join(g.settle(), "\n"), strings.Join(first, "\n"); got != want {
			return fmt.Errorf("writes to lineage %d give %s\nand to the first %s", i+1, got, want)
		}
	}
	p.answers += len(first)
	return nil
}

// compare has all subjects answer a read.
func (p *party) compare(o metaOp) error {
	first := make([]*answer, len(p.lines))
	for i, s := range p.subjects {
		a, err := s.ask(o)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		p.answers++
		if first[s.lineage] == nil {
			first[s.lineage] = a
		} else if err := differ(&first[s.lineage].exact, &a.exact); err != nil {
			return fmt.Errorf("%s differs from the leader of its lineage: %w", s.name, err)
		}
		if err := differ(&first[0].common, &a.common); err != nil && i > 0 {
			return fmt.Errorf("%s differs from %s: %w", s.name, p.subjects[0].name, err)
		}
	}
	return nil
}

// differ names the first line in which two answers differ.
func differ(want, got *bytes.Buffer) error {
	if bytes.Equal(want.Bytes(), got.Bytes()) {
		return nil
	}
	a, b := strings.Split(want.String(), "\n"), strings.Split(got.String(), "\n")
	i := 0
	for i < min(len(a), len(b))-1 && a[i] == b[i] {
		i++
	}
	return fmt.Errorf("in line %d of %d and %d\n%s\nand not\n%s", i+1, len(a), len(b), b[i], a[i])
}

// recorded is how many segments the log has recorded, merged ones too.
func (s *subject) recorded() int {
	size := s.stack.Ledger().NextSeq()
	return int(size) - s.line.before(size)
}

// exercised says whether the operations have brought the subjects where it matters.
func (p *party) exercised(ops int) error {
	trimmed, merged := 0, 0
	for _, s := range p.subjects {
		segments, recorded := len(s.stack.Ledger().Manifest().Segments), s.recorded()
		if segments == 0 || recorded < ops/250 {
			return fmt.Errorf("%s has %d segments, and %d are recorded, after %d operations", s.name, segments, recorded, ops)
		}
		if segments < recorded*2/3 {
			merged++
		}
		if s.stack.Log().FirstIndex() > 1 {
			trimmed++
		}
		if err := s.close(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if ops >= 600 && (trimmed < 5 || merged == 0) {
		return fmt.Errorf("of %d subjects %d have trimmed their logs and %d have merged their segments: too few", len(p.subjects),
			trimmed, merged)
	}
	if p.restarts == 0 || p.crashes == 0 || p.restarts+p.crashes < ops/50 {
		return fmt.Errorf("%d restarts and %d power cuts in %d operations: too few", p.restarts, p.crashes, ops)
	}
	return nil
}
