package httpapi

import (
	"context"
	"sync"
	"time"
)

// patience is the request's context with a deadline that is made only when somebody waits on it. Most read barriers
// answer at once, and a timer with its context would cost more than they do.
type patience struct {
	context.Context // of the request
	limit           time.Duration
	call            *call
	once            sync.Once
	timed           context.Context // nil when nobody waited before the end
	cancel          context.CancelFunc
}

// patience returns the context that a write or a read barrier may take; its end must be called.
func (c *call) patience() *patience {
	return &patience{Context: c.r.Context(), limit: c.api.opt.RequestTimeout, call: c}
}

// ctx returns the context with the deadline, which counts from the first call.
func (p *patience) ctx() context.Context {
	p.once.Do(func() {
		p.call.endRead() // the wait may outlast the deadline of the headers
		p.timed, p.cancel = context.WithTimeout(p.Context, p.limit)
	})
	if p.timed == nil {
		return p.Context
	}
	return p.timed
}

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.ctx().Done() }

// Err implements context.Context.
func (p *patience) Err() error { return p.ctx().Err() }

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) { return p.ctx().Deadline() }

// end lets the timer go, if there is one, and keeps one from being made.
func (p *patience) end() {
	p.once.Do(func() {})
	if p.cancel != nil {
		p.cancel()
	}
}

// unhurried is the request's context with a deadline that the node keeps by itself. It is never done: a write whose
// client has gone is worth no timer and no watching, as its outcome comes all the same.
type unhurried struct {
	context.Context // of the request, for its values
	at              time.Time
}

// unhurried returns the context for a write.
func (c *call) unhurried() unhurried {
	return unhurried{Context: c.r.Context(), at: time.Now().Add(c.api.opt.RequestTimeout)}
}

// Done implements context.Context.
func (unhurried) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (unhurried) Err() error { return nil }

// Deadline implements context.Context.
func (u unhurried) Deadline() (time.Time, bool) { return u.at, true }
