package e2e

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestWire: the wire of the other tests stalls, cuts and heals one direction without the other. If it did nothing, tests
// of partitions would show nothing.
func TestWire(t *testing.T) {
	l := newLinks(t)
	a, b := &peer{id: 1}, &peer{id: 2}
	atA, atB := newEcho(t), newEcho(t)
	frontA, frontB := l.front(1, atA), l.front(2, atB)
	fromA, fromB := dialAs(t, 1, frontB), dialAs(t, 2, frontA)
	fromA.echoes(t, true)
	fromB.echoes(t, true)

	l.set(a, b, condition{stalled: true})
	fromB.echoes(t, true)
	fromA.echoes(t, false)
	l.heal()
	fromA.arrives(t) // what was stalled is not lost

	l.between([]*peer{a}, []*peer{b}, condition{delay: 50 * time.Millisecond})
	began := time.Now()
	fromA.echoes(t, true)
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("a wire of 50 ms took %v", took)
	}

	l.between([]*peer{a}, []*peer{b}, condition{cut: true})
	fromA.ends(t)
	fromB.ends(t)
	dialAs(t, 1, frontB).ends(t)
	l.heal()
	dialAs(t, 1, frontB).echoes(t, true)
}

// newEcho answers every byte with itself.
func newEcho(t *testing.T) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// dialled is a connection to an echo, with how many of the bytes sent have not come back yet: the hello comes back, too.
type dialled struct {
	net.Conn
	owed int
}

// dialAs opens a connection as node id does, as far as the wire looks at it.
func dialAs(t *testing.T, id uint64, addr string) *dialled {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	hello := make([]byte, helloHeader)
	copy(hello, "SCRIBETP")
	binary.BigEndian.PutUint64(hello[32:], id)
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	return &dialled{conn, helloHeader}
}

// echoes sends a hello's worth of bytes, and says whether all that was sent comes back, or none of it soon.
func (d *dialled) echoes(t *testing.T, want bool) {
	t.Helper()
	if _, err := d.Write(make([]byte, helloHeader)); err != nil {
		t.Fatal(err)
	}
	d.owed += helloHeader
	if want {
		d.arrives(t)
		return
	}
	_ = d.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := d.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes, %v over a stalled wire", n, err)
	}
}

// arrives reads all that is owed, so that what is read next was sent next.
func (d *dialled) arrives(t *testing.T) {
	t.Helper()
	_ = d.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(d, make([]byte, d.owed)); err != nil {
		t.Fatal(err)
	}
	d.owed = 0
}

func (d *dialled) ends(t *testing.T) {
	t.Helper()
	_ = d.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, d); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection is still open")
	}
}
