package ledger

import (
	"bytes"
	"context"
	"sync"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/vfs"
)

// early verifies an object's file while it comes, so that verifying takes no time behind the download: blocks as they
// arrive, by the meta tail that is here already. That the tail which comes is the same is seen at the end. What does not
// turn out good this way is verified whole from the file, and named then: early only spares work.
type early struct {
	ledger *Ledger
	meta   vfs.File // the tail that is here
	want   manifest.Segment
	name   string // of the file that comes

	mu      sync.Mutex
	moved   sync.Cond // of mu: here or over has changed
	here    int64     // so many bytes have come
	over    error     // why no more comes
	file    vfs.File  // the early's own handle; nil until it is needed
	done    chan struct{}
	verdict error // once done is closed
}

// verifyEarly begins to verify a file that is about to come; nil where there is no meta tail to do it by. The caller calls
// end.
func (l *Ledger) verifyEarly(ctx context.Context, meta vfs.File, g manifest.Segment, name string) *early {
	if meta == nil {
		return nil
	}
	e := &early{ledger: l, meta: meta, want: g, name: name, done: make(chan struct{})}
	e.moved.L = &e.mu
	go func() {
		defer close(e.done)
		e.verdict = e.verify(ctx)
	}()
	return e
}

// reached says that so many bytes are in the file.
func (e *early) reached(n uint64) {
	if e == nil {
		return
	}
	e.mu.Lock()
	e.here = int64(n)
	e.moved.Broadcast()
	e.mu.Unlock()
}

// end says that no more comes, for that reason, and waits for the verdict: whether the whole file is good.
func (e *early) end(reason error) bool {
	if e == nil {
		return false
	}
	e.mu.Lock()
	if e.over == nil {
		e.over = reason
	}
	e.moved.Broadcast()
	e.mu.Unlock()
	<-e.done
	return e.verdict == nil
}

func (e *early) verify(ctx context.Context) error {
	defer func() {
		if e.file != nil {
			e.file.Close()
		}
	}()
	expect := infoOf(e.want)
	expect.Bytes = 0
	t, err := sstable.Open(e, sstable.Options{Expect: &expect, ResidentBytes: -1})
	if err != nil {
		return err
	}
	if err := t.Verify(ctx, nil); err != nil {
		return err
	}
	if err := sameInfo(e.name, t.Info(), infoOf(e.want)); err != nil {
		return err
	}
	return e.compareMeta()
}

// compareMeta holds the meta tail that has come against the one by which the blocks were verified.
func (e *early) compareMeta() error {
	from, size := int64(e.want.Object.MetaOffset), e.Size()
	came, known := make([]byte, scanPiece), make([]byte, scanPiece)
	for at := from; at < size; at += scanPiece {
		n := min(scanPiece, size-at)
		if err := e.await(at + n); err != nil {
			return err
		}
		if _, err := e.file.ReadAt(came[:n], at); err != nil {
			return err
		}
		if _, err := e.meta.ReadAt(known[:n], at-from); err != nil {
			return err
		}
		if !bytes.Equal(came[:n], known[:n]) {
			return &vfs.CorruptError{File: e.name, Offset: at, Reason: "its meta tail is not the one that is here"}
		}
	}
	return nil
}

const scanPiece = 256 << 10

// await waits until the file has so many bytes, and has it open then.
func (e *early) await(n int64) (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.here < n && e.over == nil {
		e.moved.Wait()
	}
	if e.here < n {
		return e.over
	}
	if e.file == nil {
		e.file, err = e.ledger.opts.FS.Open(e.name)
	}
	return err
}

// ReadAt follows io.ReaderAt; it waits for what has not come. For one goroutine.
func (e *early) ReadAt(p []byte, off int64) (n int, err error) {
	from := int64(e.want.Object.MetaOffset)
	if off < from {
		data := p[:min(int64(len(p)), from-off)]
		if err := e.await(off + int64(len(data))); err != nil {
			return 0, err
		}
		if n, err = e.file.ReadAt(data, off); err != nil || n == len(p) {
			return n, err
		}
		p, off = p[n:], from
	}
	m, err := e.meta.ReadAt(p, off-from)
	return n + m, err
}

// Size is the object's.
func (e *early) Size() int64 { return int64(e.want.Object.Bytes) }

// Name is the name of the file that comes.
func (e *early) Name() string { return e.name }
