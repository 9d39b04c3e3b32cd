package httpapi

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// connection is what the API remembers of a connection from one request to the next: a deadline costs net/http more
// than the rest of a small answer's sending, so one is not set again while most of its time is left.
type connection struct {
	writeUntil atomic.Int64 // the write deadline, in Unix nanoseconds; 0 for none yet
}

type connectionKey struct{}

// newConnection is the server's ConnContext.
func newConnection(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, &connection{})
}

// extendWrite gives the client at least half of WriteTimeout, and at most all of it, to take what is sent next. A writer
// without deadlines, such as a test's recorder, has no slow client either.
func (c *call) extendWrite() {
	c.last = time.Now()
	until := c.last.Add(c.api.opt.WriteTimeout)
	conn, _ := c.r.Context().Value(connectionKey{}).(*connection)
	if conn != nil {
		if left := conn.writeUntil.Load() - c.last.UnixNano(); left > int64(c.api.opt.WriteTimeout/2) {
			return
		}
		conn.writeUntil.Store(until.UnixNano())
	}
	_ = http.NewResponseController(c.w).SetWriteDeadline(until)
}

// extendRead gives the client another BodyTimeout for the next piece of a body.
func (c *call) extendRead() {
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(c.api.opt.BodyTimeout))
}

// endRead lifts the limit on reading. net/http watches the connection for the client's leaving while the handler works,
// and would take a passed deadline for that.
func (c *call) endRead() {
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
}
