package transport

import (
	"context"
	"fmt"
	"time"
)

// pump sends what the queue holds until the connection ends, and returns why it did.
func (s *stream) pump(ctx context.Context, l *link) error {
	stop := context.AfterFunc(ctx, func() { _ = l.raw.Close() })
	defer stop()
	dead := make(chan error, 1)
	go func() { dead <- s.listen(l) }()

	err := s.write(ctx, l, dead)
	_ = l.raw.Close() // ends listen
	if err == nil {
		return <-dead
	}
	if was := <-dead; ctx.Err() == nil && !isClosed(was) {
		return was // what ended the connection, rather than that it was found closed
	}
	return err
}

// write takes from the queue and writes; several frames leave in one write when they have gathered. It returns nil
// when listen has ended.
func (s *stream) write(ctx context.Context, l *link, dead chan error) error {
	w := &writer{conn: l.conn, salt: l.out, timeout: s.t.o.WriteTimeout, bytes: &s.sent.bytes}
	ticker := time.NewTicker(s.t.o.Keepalive)
	defer ticker.Stop()
	var batch []item
	for {
		ping := false
		select {
		case <-ticker.C:
			ping = true
		case <-s.nudge: // it dialled us; is it still the same at the other end of this connection?
			ping = true
		default:
		}
		if batch = s.queue.take(batch[:0], flushBytes); len(batch) == 0 && !ping {
			select {
			case <-s.queue.ready:
				continue
			case <-ticker.C:
			case <-s.nudge:
			case err := <-dead:
				dead <- err
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
			if batch = s.queue.take(batch[:0], flushBytes); len(batch) == 0 {
				ping = true
			}
		}
		err := s.writeBatch(w, batch, ping)
		s.queue.done(batch)
		if err != nil {
			s.drop(dropBroken, len(batch))
			return fmt.Errorf("write: %w", err)
		}
		s.sent.frames.Add(uint64(len(batch)))
		clear(batch)
	}
}

func (s *stream) writeBatch(w *writer, batch []item, ping bool) error {
	for i := range batch {
		var err error
		if it := &batch[i]; it.kind == kindMessage {
			err = w.message(it.message)
		} else {
			err = w.payload(it.kind, it.payload)
		}
		if err != nil {
			return err
		}
	}
	if ping {
		k := kindPing
		if s.answers.Load() {
			k = kindAnswers
		}
		if err := w.payload(k, nil); err != nil {
			return err
		}
	}
	return w.flush()
}

// listen reads the peer's signs of life, and returns when they stay away or the connection ends.
func (s *stream) listen(l *link) error {
	r := &reader{
		r: l.r, salt: l.back, limits: pongLimits,
		arm:   func() error { return l.conn.SetReadDeadline(time.Now().Add(s.t.o.IdleTimeout)) },
		moved: func(int) error { return nil },
	}
	for {
		if _, _, err := r.next(); err != nil {
			s.t.metrics.badFrame(err)
			_ = l.raw.Close() // a write that hangs must end
			return ending(err, s.t.o.IdleTimeout)
		}
	}
}
