package sim

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
)

// lineage is one log of commands, and what has become of each. Its subjects all apply it, so that they agree on every
// seq, receipt and root. Between two lineages the ledger's own records of segments stand at different seqs; what they
// must agree on are the entries that clients wrote, by number.
type lineage struct {
	commands [][]byte
	results  []*ledger.Result // by command; nil while nobody has applied it

	asked   []asked                // the commands that clients sent, in order
	settled int                    // of asked: what they did stands in the fields below
	seqs    []uint64               // of the entries that clients wrote
	times   []int64                // of the same
	numbers map[uint64]int         // the way back
	newest  map[string]uint64      // seq of each key's last entry
	roots   map[string]merkle.Hash // of segments, by id
}

// asked is a command that a client sent, and its place in the log.
type asked struct {
	cmd *ledger.Command
	at  int
}

func newLineage() *lineage {
	return &lineage{numbers: make(map[uint64]int), newest: make(map[string]uint64), roots: make(map[string]merkle.Hash)}
}

// ask puts a client's command into the log.
func (g *lineage) ask(cmd *ledger.Command, now int64) error {
	own := *cmd
	own.Ops = nil
	for _, op := range cmd.Ops {
		var conditions []ledger.Condition
		for _, c := range op.Conditions {
			c.Seqs = g.tags(op.Key, c.Seqs)
			conditions = append(conditions, c)
		}
		op.Conditions = conditions
		own.Ops = append(own.Ops, op)
	}
	data, err := ledger.EncodeWrite(&own)
	if err != nil {
		return err
	}
	ledger.StampTime(data, now)
	g.asked = append(g.asked, asked{&own, len(g.commands)})
	g.add(data)
	return nil
}

// seal puts the command into the log that seals what is in memory.
func (g *lineage) seal(now int64) {
	data := ledger.SealNow()
	ledger.StampTime(data, now)
	g.add(data)
}

func (g *lineage) add(data []byte) {
	g.commands = append(g.commands, data)
	g.results = append(g.results, nil)
}

// tags are the seqs that draws stand for: the newest version of the key, or that of any.
func (g *lineage) tags(key []byte, draws []uint64) (out []uint64) {
	for _, d := range draws {
		if seq, ok := g.newest[string(key)]; ok && d%2 == 0 {
			out = append(out, seq)
		} else if len(g.seqs) > 0 {
			out = append(out, g.seqs[d/2%uint64(len(g.seqs))])
		}
	}
	return out
}

// result holds what became of a command against what became of it elsewhere, or here in an earlier life.
func (g *lineage) result(at int, r ledger.Result) error {
	if g.results[at] == nil {
		g.results[at] = &r
		return nil
	}
	if !reflect.DeepEqual(*g.results[at], r) {
		return fmt.Errorf("command %d gives %+v (%v), it gave %+v (%v)", at, r.Receipt, r.Err, g.results[at].Receipt,
			g.results[at].Err)
	}
	return nil
}

// settle takes in the results that have come, and returns each in words that are the same for all lineages.
func (g *lineage) settle() (answers []string) {
	for ; g.settled < len(g.asked); g.settled++ {
		a := g.asked[g.settled]
		r := g.results[a.at]
		if r == nil {
			return answers
		}
		rec := r.Receipt
		if r.Err == nil && !rec.Replayed {
			for i, op := range a.cmd.Ops {
				seq := rec.FirstSeq + uint64(i)
				g.numbers[seq] = len(g.seqs)
				g.seqs, g.times = append(g.seqs, seq), append(g.times, rec.Time)
				g.newest[string(op.Key)] = seq
			}
		}
		if r.Err != nil {
			answers = append(answers, g.inWords(r.Err))
		} else {
			answers = append(answers, fmt.Sprintf("%d entries from %s at %d, replayed %v", rec.Count, g.name(rec.FirstSeq),
				rec.Time, rec.Replayed))
		}
	}
	return answers
}

// name is a seq in words that are the same for all lineages.
func (g *lineage) name(seq uint64) string {
	if n, ok := g.numbers[seq]; ok {
		return fmt.Sprintf("#%d", n)
	}
	return "another entry"
}

// inWords is an error in words that are the same for all lineages; empty for one that no read or write may meet.
func (g *lineage) inWords(err error) string {
	var absent *ledger.NotFoundError
	var failed *ledger.PreconditionError
	switch {
	case errors.As(err, &absent) && absent.Tombstone:
		return fmt.Sprintf("op %d: deleted by %s", absent.OpIndex, g.name(absent.Seq))
	case errors.As(err, &absent):
		return fmt.Sprintf("op %d: never written", absent.OpIndex)
	case errors.As(err, &failed) && failed.Exists:
		return fmt.Sprintf("op %d: the newest version is %s", failed.OpIndex, g.name(failed.Seq))
	case errors.As(err, &failed):
		return fmt.Sprintf("op %d: there is no version", failed.OpIndex)
	case errors.Is(err, ledger.ErrVersionNotFound):
		return "no such version"
	case errors.Is(err, ledger.ErrIdempotencyMismatch):
		return "the idempotency key stands for another request"
	}
	return ""
}

// seqOf is the seq of the entry that a draw stands for, or, now and then, one beyond the end.
func (g *lineage) seqOf(draw uint64) uint64 {
	n := uint64(len(g.seqs))
	if draw%(n+2) >= n {
		return 1<<40 + draw%(n+2)
	}
	return g.seqs[draw%(n+2)]
}

// timeOf is a time at, before or behind that of the entry that a draw stands for.
func (g *lineage) timeOf(draw uint64) int64 {
	if len(g.times) == 0 {
		return 1
	}
	return g.times[draw/3%uint64(len(g.times))] + int64(draw%3) - 1
}

// before is how many of the first seqs' entries clients wrote.
func (g *lineage) before(seqs uint64) (n int) {
	for n < len(g.seqs) && g.seqs[n] < seqs {
		n++
	}
	return n
}
