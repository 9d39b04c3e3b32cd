package transport

import (
	"errors"
	"net"
	"time"
)

// accept takes connections until the listener is closed.
func (t *Transport) accept() {
	const most = time.Second
	pause := time.Duration(0)
	for {
		conn, err := t.o.Listener.Accept()
		if err == nil {
			pause = 0
			t.take(conn)
			continue
		}
		if t.ctx.Err() != nil {
			return
		}
		if errors.Is(err, net.ErrClosed) {
			t.o.Logger.Error("the listener for peers was closed; no peer can reach this node", "err", err)
			return
		}
		// Most likely there are no file descriptors left. That passes.
		pause = min(max(2*pause, 5*time.Millisecond), most)
		if t.quiet.allow("accept") {
			t.o.Logger.Error("cannot accept connections of peers", "err", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-t.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// take starts the goroutine of a connection, or closes it when there are too many.
func (t *Transport) take(conn net.Conn) {
	setNoDelay(conn)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = conn.Close()
		return
	}
	if len(t.conns) >= t.o.MaxConnections && !t.makeRoom() {
		_ = conn.Close()
		t.metrics.refuse(refuse(refusedFull, "too many connections"))
		if t.strangers.allow("full") {
			t.o.Logger.Warn("refused a connection: too many", "addr", conn.RemoteAddr(), "most", t.o.MaxConnections)
		}
		return
	}
	t.accepted++
	in := &inbound{t: t, conn: conn, number: t.accepted, done: make(chan struct{})}
	t.conns[in] = struct{}{}
	t.wg.Go(in.run)
}

// makeRoom ends the oldest connection that has not said hello: a member does that within moments, so a flood of silent
// ones does not keep it out. The caller holds t.mu.
func (t *Transport) makeRoom() bool {
	var oldest *inbound
	for in := range t.conns {
		if !in.greeted && (oldest == nil || in.number < oldest.number) {
			oldest = in
		}
	}
	if oldest == nil {
		return false
	}
	oldest.end(refuse(refusedFull, "gave way to a newer connection before it said hello"))
	delete(t.conns, oldest)
	return true
}
