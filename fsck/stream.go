package fsck

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

// A segment in a bucket is read once, front to back, for its SHA-256 and for the check of its entries: that check goes
// from block to block, with a look at the meta tail now and then. So the object is cut into pieces, of which those
// behind the reader stay for a while and those before it are on their way.
const (
	pieceBytes  = 1 << 20
	piecesAhead = 8
	piecesKept  = 40
)

// stream is a segfile.Source over an object. It is for one goroutine; its own are joined by close.
type stream struct {
	ctx     context.Context
	cancel  context.CancelFunc
	store   tier.Store
	retry   tier.Retry
	name    string
	path    string // name with the store's
	size    int64
	sum     hash.Hash
	next    int64 // the piece whose bytes sum waits for
	pieces  map[int64]*piece
	clock   int64 // counts uses
	advance func(int64)
	told    int64 // of advance
}

// piece is one range. data and err are set before done is closed.
type piece struct {
	done chan struct{}
	data []byte
	err  error
	used int64
}

func newStream(ctx context.Context, store tier.Store, name string, size int64, advance func(int64)) *stream {
	s := &stream{store: store, name: name, path: store.Name() + "/" + name, size: size, sum: sha256.New(),
		pieces: make(map[int64]*piece), advance: advance}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// Size implements segfile.Source.
func (s *stream) Size() int64 { return s.size }

// Name implements segfile.Source.
func (s *stream) Name() string { return s.path }

func (s *stream) count() int64 { return (s.size + pieceBytes - 1) / pieceBytes }

// get returns a piece, which may be on its way.
func (s *stream) get(i int64) *piece {
	s.clock++
	p := s.pieces[i]
	if p == nil {
		if len(s.pieces) >= piecesKept {
			s.forget()
		}
		p = &piece{done: make(chan struct{}), data: make([]byte, min(pieceBytes, s.size-i*pieceBytes))}
		s.pieces[i] = p
		go func() {
			defer close(p.done)
			p.err = s.retry.Do(s.ctx, func(ctx context.Context) error {
				return tier.ReadAt(ctx, s.store, s.name, p.data, i*pieceBytes)
			})
		}()
	}
	p.used = s.clock
	return p
}

// forget drops the piece that was not used for longest.
func (s *stream) forget() {
	oldest := int64(-1)
	for i, p := range s.pieces {
		if oldest < 0 || p.used < s.pieces[oldest].used {
			oldest = i
		}
	}
	<-s.pieces[oldest].done // one that was never used may be on its way
	delete(s.pieces, oldest)
}

// load waits for a piece, and has those behind it come.
func (s *stream) load(i int64) ([]byte, error) {
	p := s.get(i)
	for k := i + 1; k <= i+piecesAhead && k < s.count() && i <= s.next; k++ {
		s.get(k)
	}
	select {
	case <-p.done:
		return p.data, p.err
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// hashUpTo adds the pieces before i to the sum.
func (s *stream) hashUpTo(i int64) error {
	for s.next < i {
		b, err := s.load(s.next)
		if err != nil {
			return err
		}
		s.sum.Write(b)
		s.next++
		s.tell(int64(len(b)))
	}
	return nil
}

func (s *stream) tell(n int64) {
	s.told += n
	s.advance(n)
}

// ReadAt implements segfile.Source. What lies a little before the place that the sum has come to is added to it.
func (s *stream) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("fsck: negative offset in %s", s.path)
	}
	n := 0
	for n < len(p) && off+int64(n) < s.size {
		at := off + int64(n)
		i := at / pieceBytes
		if i < s.next+piecesKept/2 {
			if err := s.hashUpTo(i + 1); err != nil {
				return n, err
			}
		}
		b, err := s.load(i)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], b[at-i*pieceBytes:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadFresh implements segfile.Refresher: what was damaged on its way is no damage of the object.
func (s *stream) ReadFresh(p []byte, off int64) (int, error) {
	err := s.retry.Do(s.ctx, func(ctx context.Context) error { return tier.ReadAt(ctx, s.store, s.name, p, off) })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// total reads what was not read yet, and returns the SHA-256 of all.
func (s *stream) total() (sum merkle.Hash, err error) {
	if err := s.hashUpTo(s.count()); err != nil {
		return sum, err
	}
	return merkle.Hash(s.sum.Sum(nil)), nil
}

// again is total from the beginning, with every piece asked for anew.
func (s *stream) again() (merkle.Hash, error) {
	fresh := newStream(s.ctx, s.store, s.name, s.size, func(int64) {})
	defer fresh.close()
	return fresh.total()
}

// close ends and joins the requests, and counts what was not read as looked at.
func (s *stream) close() {
	s.cancel()
	for _, p := range s.pieces {
		<-p.done
	}
	s.tell(s.size - s.told)
}
