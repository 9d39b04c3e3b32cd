package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// report counts and logs why the connection ends, if that is worth a line. Only the first call counts.
func (in *inbound) report(err error) {
	if in.told {
		return
	}
	in.told = true
	t, from := in.t, in.from
	t.metrics.badFrame(err)
	log := t.o.Logger.With("addr", in.conn.RemoteAddr())
	if from.from != 0 {
		log = log.With("peer", from.from)
	}
	var no *refusedError
	var bad *frameError
	switch {
	case errors.As(err, &no):
		t.metrics.refuse(no)
		if t.strangers.allow("refused " + strconv.FormatUint(from.from, 10) + host(in.conn.RemoteAddr()) + no.text) {
			log.Warn("refused a peer", "reason", no.text)
		}
	case errors.As(err, &bad) && bad.reason != badHalf:
		if t.strangers.allow("bad frame " + strconv.FormatUint(from.from, 10) + string(bad.reason)) {
			log.Warn("ended a peer's connection", "class", from.class.String(), "err", err)
		}
	default:
		log.Debug("a peer's connection ended", "class", from.class.String(), "err", err)
	}
}

// ending gives the end of a connection its meaning.
func ending(err error, idle time.Duration) error {
	switch {
	case isTimeout(err):
		return fmt.Errorf("no sign of life for %v: %w", idle, err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the peer closed the connection: %w", err)
	}
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func isClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// host is an address without its port, which differs from one connection to the next.
func host(addr net.Addr) string {
	h, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return h
}
