package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// drainTime is how long answers are waited for once no more requests are sent.
const drainTime = 10 * time.Second

// protocol is one connection's side of HTTP/1.1 or gRPC. A slot is a request in flight, 0 ≤ slot < depth.
type protocol interface {
	// open appends what a new connection begins with.
	open(out []byte) []byte
	// ready reports whether flow control allows one more request.
	ready() bool
	// request appends the request for key in slot.
	request(out []byte, slot, key int, w *work) []byte
	// consume takes whole answers off in and returns how many bytes it took. It calls done for each answer, with an
	// empty reason if it is as it should be, and appends to out what the protocol itself has to say.
	consume(in, out []byte, done func(slot int, reason string)) (int, []byte, error)
}

// lean drives a load from one thread over non-blocking sockets.
type lean struct {
	// conns is how many connections the callers share; 0 = one each.
	conns int
	dial  func(k kind, addr string, depth int) protocol
}

// conn is one socket. All conns belong to the loop's goroutine.
type conn struct {
	fd       int
	proto    protocol
	in       []byte // in[:filled] is what was read and not yet consumed
	filled   int
	out      []byte
	waiting  bool            // for the socket to take more
	started  []time.Duration // by slot, since the loop began
	freeSlot []int
}

func (d lean) run(l load) (outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	lp := &loop{load: l, work: newWork(l, 0), base: time.Now()}
	defer lp.close()
	if err := lp.connect(d); err != nil {
		return outcome{}, err
	}
	if err := lp.run(); err != nil {
		return outcome{}, err
	}
	return lp.tally.outcome(lp.end - lp.begin), nil
}

type loop struct {
	load
	work       *work
	tally      tally
	base       time.Time
	now        time.Duration // since base, as of the last return from the kernel
	begin, end time.Duration // of the measured time; 0 until then
	epoll      int
	conns      []*conn
	inFlight   int
	stopping   bool
}

// connect opens all connections and shares the callers out among them.
func (lp *loop) connect(d lean) error {
	n := lp.load.conns
	if d.conns > 0 {
		n = min(n, d.conns)
	}
	var err error
	if lp.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	for i := range n {
		depth := lp.load.conns / n
		if i < lp.load.conns%n {
			depth++
		}
		addr := lp.addrs[i%len(lp.addrs)]
		fd, err := dialSocket(addr)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", addr, err)
		}
		c := &conn{fd: fd, proto: d.dial(lp.kind, addr, depth), in: make([]byte, 32<<10), started: make([]time.Duration, depth)}
		for slot := range depth {
			c.freeSlot = append(c.freeSlot, slot)
		}
		lp.conns = append(lp.conns, c)
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(lp.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
	}
	return nil
}

func (lp *loop) run() error {
	for i, c := range lp.conns {
		c.out = c.proto.open(c.out)
		if err := lp.fillSlots(i, c); err != nil {
			return err
		}
	}
	if lp.fill {
		lp.edgeAt(&lp.begin)
	}
	events := make([]unix.EpollEvent, 256)
	var drainUntil time.Duration
	for {
		n, err := unix.EpollWait(lp.epoll, events, 10)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll: %w", err)
		}
		lp.now = time.Since(lp.base)
		if lp.step(); lp.stopping && drainUntil == 0 {
			drainUntil = lp.now + drainTime
		}
		for _, e := range events[:max(n, 0)] {
			if err := lp.handle(int(e.Fd), e.Events); err != nil {
				return err
			}
		}
		switch {
		case lp.tally.errors > maxErrors:
			return fmt.Errorf("more than %d requests failed, the first with: %s", maxErrors, lp.tally.firstError)
		case lp.inFlight == 0 && lp.fill:
			lp.now = time.Since(lp.base)
			lp.edgeAt(&lp.end)
			return nil
		case lp.stopping && lp.inFlight == 0:
			return nil
		case lp.stopping && lp.now > drainUntil:
			return fmt.Errorf("%d requests were not answered within %v", lp.inFlight, drainTime)
		}
	}
}

// step passes the edges of the measured time.
func (lp *loop) step() {
	switch {
	case lp.fill:
	case lp.begin == 0 && lp.now >= lp.warm:
		lp.edgeAt(&lp.begin)
	case lp.begin > 0 && lp.end == 0 && lp.now >= lp.begin+lp.measured:
		lp.edgeAt(&lp.end)
		lp.stopping = true
	}
}

func (lp *loop) edgeAt(at *time.Duration) {
	*at = max(lp.now, 1)
	if lp.edge != nil {
		lp.edge()
	}
}

func (lp *loop) handle(i int, events uint32) error {
	c := lp.conns[i]
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		if err := lp.read(c); err != nil {
			return fmt.Errorf("connection to %s: %w", lp.addrs[i%len(lp.addrs)], err)
		}
	}
	return lp.fillSlots(i, c)
}

// read takes what the socket has, once; epoll tells again if there is more.
func (lp *loop) read(c *conn) error {
	n, err := unix.Read(c.fd, c.in[c.filled:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return errors.New("closed by the server")
	}
	c.filled += n
	took, out, err := c.proto.consume(c.in[:c.filled], c.out, func(slot int, reason string) { lp.done(c, slot, reason) })
	if err != nil {
		return err
	}
	c.out = out
	c.filled = copy(c.in, c.in[took:c.filled])
	if c.filled == len(c.in) {
		return fmt.Errorf("an answer is longer than %d bytes", len(c.in))
	}
	return nil
}

func (lp *loop) done(c *conn, slot int, reason string) {
	lp.inFlight--
	c.freeSlot = append(c.freeSlot, slot)
	switch {
	case reason != "":
		lp.tally.fail(reason)
	case lp.begin > 0 && lp.end == 0:
		lp.tally.ok(lp.now - c.started[slot])
	}
}

// fillSlots sends a request for each free slot, and whatever else the connection has to write.
func (lp *loop) fillSlots(i int, c *conn) error {
	for len(c.freeSlot) > 0 && !lp.stopping && c.proto.ready() {
		key, ok := lp.work.next()
		if !ok {
			break
		}
		last := len(c.freeSlot) - 1
		slot := c.freeSlot[last]
		c.freeSlot = c.freeSlot[:last]
		c.out = c.proto.request(c.out, slot, key, lp.work)
		c.started[slot] = lp.now
		lp.inFlight++
	}
	if len(c.out) == 0 {
		return nil
	}
	if err := lp.write(i, c); err != nil {
		return fmt.Errorf("connection to %s: %w", lp.addrs[i%len(lp.addrs)], err)
	}
	return nil
}

// write gives the socket what it takes now and has epoll tell when it takes the rest.
func (lp *loop) write(i int, c *conn) error {
	n, err := unix.Write(c.fd, c.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return err
	}
	c.out = c.out[:copy(c.out, c.out[max(n, 0):])]
	if waiting := len(c.out) > 0; waiting != c.waiting {
		c.waiting = waiting
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if waiting {
			event.Events |= unix.EPOLLOUT
		}
		return unix.EpollCtl(lp.epoll, unix.EPOLL_CTL_MOD, c.fd, &event)
	}
	return nil
}

func (lp *loop) close() {
	for _, c := range lp.conns {
		unix.Close(c.fd)
	}
	if lp.epoll > 0 {
		unix.Close(lp.epoll)
	}
}

// dialSocket connects to an IPv4 address and only then makes the socket non-blocking.
func dialSocket(addr string) (int, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = errors.Join(unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), unix.SetNonblock(fd, true))
	if err != nil {
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}
