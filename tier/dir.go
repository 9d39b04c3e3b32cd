package tier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/scribe-ledger/scribe/vfs"
)

// DirOptions are the settings of a Dir. Zero values mean the defaults given.
type DirOptions struct {
	// Existing refuses a folder that is not there, instead of making it.
	Existing bool
	// Now is the clock that stamps objects. nil: the system's.
	Now func() time.Time
	// LockPoll is how often a lock that another process holds is tried again. Default 10 ms.
	LockPoll time.Duration
}

// Dir is an object store in a folder. An object is a file at the path that its key is, with a trailer of 4 KiB behind
// its bytes. What is being written has a name that begins with a dot, as no element of a key does. Several processes,
// on one machine or over a network file system that has flock, may use one folder at once.
//
// A file that has no trailer was put there by hand: it is an object without SHA-256 and metadata.
type Dir struct {
	fs   vfs.FS
	root string
	opts DirOptions
	turn chan struct{} // held, with the folder's lock file, while an object is replaced or deleted
}

var _ Store = (*Dir)(nil)

// lockName is the lock file of the folder.
const lockName = ".lock"

// NewDir returns the store in the folder root. With opts.Existing it is ErrNoBucket when there is none.
func NewDir(fsys vfs.FS, root string, opts DirOptions) (*Dir, error) {
	opts.LockPoll = cmp.Or(opts.LockPoll, 10*time.Millisecond)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	d := &Dir{fs: fsys, root: root, opts: opts, turn: make(chan struct{}, 1)}
	if !opts.Existing {
		if err := fsys.MkdirAll(root); err != nil {
			return nil, d.failed("open", "", err)
		}
	}
	info, err := fsys.Stat(root)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir {
		err = ErrNoBucket
	}
	if err != nil {
		return nil, d.failed("open", "", err)
	}
	return d, nil
}

// Name implements Store.
func (d *Dir) Name() string { return "dir:" + d.root }

func (d *Dir) path(key string) string { return path.Join(d.root, key) }

// failed translates an error of the file system. A full disk is a temporary failure: space can be made.
func (d *Dir) failed(op, key string, err error) error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Ended(op, key, err)
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return &Error{Op: op, Key: key, Temporary: vfs.IsNoSpace(err), Err: err}
}

// open opens the file of an object and reads its trailer.
func (d *Dir) open(key string) (vfs.File, Object, error) {
	name := d.path(key)
	if info, err := d.fs.Stat(name); err != nil {
		return nil, Object{}, notAFile(err)
	} else if info.IsDir {
		return nil, Object{}, ErrNotFound
	}
	f, err := d.fs.Open(name)
	if err != nil {
		return nil, Object{}, notAFile(err)
	}
	o, err := describe(f, key)
	if err != nil {
		return nil, Object{}, errors.Join(err, f.Close())
	}
	return f, o, nil
}

// notAFile turns the error for a path that leads through a file into that for one that leads nowhere.
func notAFile(err error) error {
	if vfs.IsNotDir(err) {
		return ErrNotFound
	}
	return err
}

// describe reads the trailer of an open file. A trailer that is damaged is a *vfs.CorruptError.
func describe(f vfs.File, key string) (Object, error) {
	size, err := f.Size()
	if err != nil {
		return Object{}, err
	}
	foreign := Object{Key: key, Size: size, ETag: fmt.Sprintf("foreign-%d", size)}
	if size < trailerBytes {
		return foreign, nil
	}
	b := make([]byte, trailerBytes)
	if n, err := f.ReadAt(b, size-trailerBytes); n < len(b) {
		return Object{}, fmt.Errorf("read the trailer: %w", err)
	}
	t, err := decodeTrailer(b)
	if err == nil && t.size != size-trailerBytes {
		err = fmt.Errorf("the trailer is that of %d bytes, there are %d before it", t.size, size-trailerBytes)
	}
	switch {
	case errors.Is(err, errNoTrailer):
		return foreign, nil
	case err != nil:
		return Object{}, &vfs.CorruptError{File: f.Name(), Offset: size - trailerBytes, Reason: err.Error()}
	}
	return t.object(key), nil
}

func (t trailer) object(key string) Object {
	return Object{
		Key: key, Size: t.size, ETag: fmt.Sprintf("%x-%x", t.sha256[:16], t.modified.UnixMicro()),
		SHA256: t.sha256[:], Metadata: t.metadata, Modified: t.modified,
	}
}

// Get implements Store.
func (d *Dir) Get(ctx context.Context, key string, off, n int64) (*Reader, error) {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return nil, d.failed("get", key, err)
	}
	f, o, err := d.open(key)
	if err != nil {
		return nil, d.failed("get", key, err)
	}
	length, err := Span(o.Size, off, n)
	if err != nil {
		return nil, d.failed("get", key, errors.Join(err, f.Close()))
	}
	return NewReader(o, length, &dirBody{ctx, io.NewSectionReader(f, off, length), f, d, key}), nil
}

// dirBody reads a part of a file.
type dirBody struct {
	ctx  context.Context
	r    io.Reader
	file vfs.File
	d    *Dir
	key  string
}

func (b *dirBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, Ended("get", b.key, err)
	}
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.d.failed("get", b.key, err)
	}
	return n, err
}

func (b *dirBody) Close() error { return b.file.Close() }

// Head implements Store.
func (d *Dir) Head(ctx context.Context, key string) (Object, error) {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return Object{}, d.failed("head", key, err)
	}
	f, o, err := d.open(key)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return Object{}, d.failed("head", key, err)
	}
	return o, nil
}

// Delete implements Store.
func (d *Dir) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return d.failed("delete", key, err)
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return d.failed("delete", key, err)
	}
	err = d.remove(key)
	if err = errors.Join(err, unlock()); err != nil {
		return d.failed("delete", key, err)
	}
	return nil
}

func (d *Dir) remove(key string) error {
	name := d.path(key)
	info, err := d.fs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || vfs.IsNotDir(err) || err == nil && info.IsDir {
		return nil
	}
	if err == nil {
		err = d.fs.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.fs.SyncDir(path.Dir(name))
}

// lock waits for the folder's lock: first among the callers in this process, then among processes.
func (d *Dir) lock(ctx context.Context) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		held, err := d.fs.Lock(path.Join(d.root, lockName))
		if err == nil {
			return func() error {
				defer func() { <-d.turn }()
				return held.Close()
			}, nil
		}
		if errors.Is(err, vfs.ErrLocked) {
			err = sleep(ctx, d.opts.LockPoll)
		}
		if err != nil {
			<-d.turn
			return nil, err
		}
	}
}
