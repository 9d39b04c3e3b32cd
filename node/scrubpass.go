package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tier"
)

// ScrubResult says what a pass of the scrubber has read and found.
type ScrubResult struct {
	Segments int    // of which this node's file, or meta tail, was read
	Objects  int    // that were read
	Bytes    uint64 // that were read
	Findings []ScrubFinding
}

// ScrubFinding is a damaged copy of a segment.
type ScrubFinding struct {
	Segment  string // its id
	File     string // the path, or the object with its store's name
	Reason   string
	Offset   int64 // where in the file; 0 when that is not known
	Repaired bool
	From     string // where the good copy came from
}

// ScrubStep reads the next copy that is due again: of this member's files or, on the leader, of the objects. It reads all of
// it, and nothing more before the rate allows that.
func (n *Node) ScrubStep() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	if n.restoring.Load() {
		return false, nil
	}
	return n.scrub.step(), nil
}

// runScrub is the scrubber.
func (n *Node) runScrub() {
	n.runSteps(n.ScrubStep, n.scrub.wake, n.scrub.wait)
}

// Scrub reads all copies of this member again, as fast as it can: its files and, on the leader, the objects. It has
// repaired what it can be of what it finds, and waits a while for that; with Options.Manual it does not wait. What was
// read and found before an error is in the result. Errors: the context's, *tier.UnavailableError when the store cannot be
// read, ledger.ErrClosed, *Unavailable while another call is under way or the node is being rebuilt.
func (n *Node) Scrub(ctx context.Context) (ScrubResult, error) {
	if n.restoring.Load() {
		return ScrubResult{}, &Unavailable{Reason: NotReady, Detail: "this node is being rebuilt: what it fetches is verified"}
	}
	return n.scrub.pass(ctx)
}

// scrubPass is one reading of everything.
type scrubPass struct {
	*scrubber
	out   ScrubResult
	found []passFinding
}

type passFinding struct {
	what string
	*ScrubFinding
}

func (s *scrubber) pass(ctx context.Context) (ScrubResult, error) {
	select {
	case s.passing <- struct{}{}:
		defer func() { <-s.passing }()
	default:
		return ScrubResult{}, &Unavailable{Reason: Overloaded, Detail: "this node is being scrubbed already"}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	p := &scrubPass{scrubber: s}
	err := p.files(ctx)
	if err == nil {
		err = p.objects(ctx)
	}
	if s.ctx.Err() != nil { // of the node, not of the call
		err = fmt.Errorf("scrub: %w", ledger.ErrClosed)
	}
	wait, cancel := context.WithTimeout(ctx, repairWait)
	defer cancel()
	for _, f := range p.found {
		p.out.Findings = append(p.out.Findings, s.await(wait, f.what, f.ScrubFinding))
	}
	return p.out, err
}

// hurry is the pace of a pass.
func (p *scrubPass) hurry(ctx context.Context, n int) error {
	p.out.Bytes += uint64(n)
	return ctx.Err()
}

func (p *scrubPass) files(ctx context.Context) error {
	for _, c := range p.n.ledger.Copies() {
		f, err := p.checkFile(ctx, c, p.hurry)
		if err != nil {
			return err
		}
		p.out.Segments++
		if f != nil {
			p.found = append(p.found, passFinding{whatOf(c), f})
		}
	}
	return nil
}

func (p *scrubPass) objects(ctx context.Context) error {
	if p.store == nil || !p.leads() {
		return nil
	}
	for _, r := range p.n.ledger.Objects() {
		f, err := p.checkObject(ctx, r, p.hurry)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			after, _ := tier.Temporary(err)
			return fmt.Errorf("scrub: %w", &tier.UnavailableError{Object: r.Object.Name,
				Timeout: errors.Is(err, context.DeadlineExceeded), RetryAfter: after, Err: err})
		}
		p.out.Objects++
		if f != nil {
			p.found = append(p.found, passFinding{whatObject, f})
		}
	}
	return nil
}
