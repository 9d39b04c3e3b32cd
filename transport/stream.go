package transport

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// stream is what goes to one peer in one class: the queue, and the sender that owns the connection.
type stream struct {
	t       *Transport
	id      uint64
	class   Class
	log     *slog.Logger
	queue   *queue
	nudge   chan struct{} // holds a token when the peer may be within reach now
	backoff backoff       // the sender's

	answers atomic.Bool // the peer is no member to us; it is only answered

	sent     counts
	connects atomic.Uint64
	dropped  [dropReasons]atomic.Uint64

	mu        sync.Mutex
	addr      string // where SetPeers says the peer listens
	said      string // where the peer itself says so
	useSaid   bool   // which of the two comes next
	connected bool
	lastErr   error
}

func newStream(t *Transport, id uint64, c Class) *stream {
	rng := rand.New(rand.NewPCG(t.o.Seed^id<<8, uint64(c)))
	return &stream{
		t: t, id: id, class: c,
		log:     t.o.Logger.With("peer", id, "class", c.String()),
		queue:   newQueue(t.o.QueueFrames, t.o.QueueBytes),
		nudge:   make(chan struct{}, 1),
		backoff: backoff{min: t.o.BackoffMin, max: t.o.BackoffMax, rng: rng},
	}
}

// send queues a frame, or drops and counts it.
func (s *stream) send(it item) bool {
	most := s.t.o.MaxFrameBytes
	if s.class == Bulk {
		most = MaxBulkBytes
	}
	why := dropLarge
	if it.size-frameHeader <= most {
		why = s.queue.push(it)
	}
	if why != dropNone {
		s.drop(why, 1)
	}
	return why == dropNone
}

func (s *stream) drop(why dropReason, frames int) { s.dropped[why].Add(uint64(frames)) }

func (s *stream) wake() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

func (s *stream) setAddr(addr string) {
	s.mu.Lock()
	changed := s.addr != addr
	s.addr = addr
	s.useSaid = s.useSaid && !changed
	s.mu.Unlock()
	if changed {
		s.wake()
	}
}

func (s *stream) setAnswers(yes bool) {
	if s.answers.Swap(yes) != yes {
		s.wake() // a ping tells the peer
	}
}

func (s *stream) heardFrom(addr string) {
	s.mu.Lock()
	s.said = addr
	s.mu.Unlock()
	s.wake()
}

// target is the address to dial next, empty when none is known. After a failure it is the other one's turn: a member
// that moved says so in its hello before the membership does.
func (s *stream) target(failed bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed {
		s.useSaid = !s.useSaid
	}
	if s.said != "" && (s.useSaid || s.addr == "") {
		return s.said
	}
	return s.addr
}

// run connects, sends and connects again until ctx ends. What waits is kept over one broken connection; when the peer
// then cannot be reached, it is dropped, and so is what comes until it can.
func (s *stream) run(ctx context.Context) {
	defer func() { s.drop(dropClosed, s.queue.shut(dropClosed)) }()
	for failed := false; ctx.Err() == nil; {
		began := time.Now()
		err := errNoAddress
		addr := s.target(failed)
		if addr != "" {
			err = s.session(ctx, addr)
		}
		if ctx.Err() != nil {
			return
		}
		failed = !s.up()
		lasted := !failed && time.Since(began) > s.t.o.BackoffMax
		s.ended(addr, err, lasted)
		if lasted {
			s.backoff.reset() // it was a good connection: look at once whether the peer is back
			continue
		}
		if failed {
			dropped := s.queue.shut(dropDown)
			s.drop(dropDown, dropped)
			if dropped > 0 {
				s.t.broken(s.id, s.class)
			}
		}
		s.pause(ctx)
	}
}

var errNoAddress = errors.New("no address is known")

// session is the life of one connection, from dialling to its end.
func (s *stream) session(ctx context.Context, addr string) error {
	l, err := s.t.dial(ctx, s, addr)
	if err != nil {
		return err
	}
	select {
	case <-s.nudge: // answered by this connection
	default:
	}
	s.setUp(l)
	return s.pump(ctx, l)
}

func (s *stream) pause(ctx context.Context) {
	timer := time.NewTimer(s.backoff.pause())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.nudge:
		s.backoff.reset()
	case <-ctx.Done():
	}
}

func (s *stream) setUp(l *link) {
	s.connects.Add(1)
	s.mu.Lock()
	s.connected, s.lastErr = true, nil
	s.mu.Unlock()
	s.queue.open()
	s.t.quiet.forget(s.lostKey())
	level := slog.LevelInfo
	if s.class == Bulk {
		level = slog.LevelDebug
	}
	s.log.Log(context.Background(), level, "connected to peer", "addr", l.addr)
}

func (s *stream) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected
}

// ended notes why there is no connection, and logs what is news.
func (s *stream) ended(addr string, err error, lasted bool) {
	s.mu.Lock()
	was := s.connected
	s.connected, s.lastErr = false, err
	s.mu.Unlock()
	if was {
		s.t.broken(s.id, s.class)
	}
	var no *refusedError
	switch {
	case errors.As(err, &no):
		s.t.metrics.refuse(no)
		if no.byPeer && no.reason == refusedAdmit && s.t.o.Refused != nil {
			s.t.o.Refused(s.id, no.text)
		}
		if s.t.quiet.allow("refused " + strconv.FormatUint(s.id, 10) + no.Error()) {
			msg := "we refuse a peer"
			if no.byPeer {
				msg = "peer refused us"
			}
			s.log.Warn(msg, "addr", addr, "reason", no.text)
		}
	case was:
		if lasted || s.t.quiet.allow("short "+s.lostKey()) {
			s.log.Warn("lost peer", "addr", addr, "err", err)
		}
	case s.t.quiet.allow(s.lostKey()):
		s.log.Warn("cannot reach peer", "addr", addr, "err", err)
	}
}

func (s *stream) lostKey() string { return "lost " + s.class.String() + strconv.FormatUint(s.id, 10) }
