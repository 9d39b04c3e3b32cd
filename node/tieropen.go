package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/tier"
)

// opening is what came of the first question: is there a store, does it keep what it must promise, and is it this
// ledger's? Until all of that is so nothing is uploaded or evicted.
type opening struct {
	done    bool
	report  string // the preflight's; empty before there is one
	problem string // why it is not done
	// withheld: the store is this member's alone, and there are others.
	withheld bool
	pause
}

// maxProblemBytes bounds what is told of a problem.
const maxProblemBytes = 1 << 10

// oneLine is a text without line breaks, cut to a length that a status can show.
func oneLine(s string) string {
	return strings.ToValidUTF8(strings.Join(strings.Fields(s[:min(len(s), maxProblemBytes)]), " "), "?")
}

func (t *tiering) nextOpening(now time.Time) *tierWork {
	if t.busy[jobOpen] > 0 || t.opening.withheld || now.Before(t.opening.until) {
		return nil
	}
	token := fmt.Sprintf("node-%d-%016x", t.n.opts.NodeID, t.rand.Uint64())
	return &tierWork{jobOpen, func(ctx context.Context) { t.open(ctx, token) }}
}

// open asks the store what it can do, and claims it for this ledger.
func (t *tiering) open(ctx context.Context, token string) {
	report, err := t.tryOut(ctx, token)
	line, problem := "", ""
	if err == nil {
		line = oneLine(report.String())
	}
	switch {
	case err != nil:
		problem = tier.Trouble(err)
	case !report.Usable():
		problem = line
	default:
		if err = t.claim(ctx); err != nil {
			problem = tier.Trouble(err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o, now := &t.opening, t.n.opts.Now()
	if ctx.Err() != nil || o.withheld {
		return
	}
	if isForeign(err) {
		t.lose(jobOpen, err)
		return
	}
	if problem == "" {
		*o = opening{done: true, report: line}
		t.regain()
		t.n.opts.Logger.Info("the object store is ready", "report", line)
		return
	}
	t.metrics.errors[jobOpen].Inc()
	was := o.problem
	o.report, o.problem = line, oneLine(problem)
	d := o.failed(now, err, t.rand.Float64())
	if o.problem != was { // it is tried for as long as it takes, and said once
		t.n.opts.Logger.Warn("the object store cannot be used; writes go on, and every segment stays here", "store",
			t.opts.Store.Name(), "problem", o.problem, "retry_in", d)
	}
}
