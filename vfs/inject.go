package vfs

import (
	"io"
	"io/fs"
	"sync"
)

// Inject is a file system that asks a hook about every operation before it hands it on. Closing is asked about too, but
// always done, as close(2) frees the descriptor whatever it reports. Stores into a mapping are plain memory writes that
// no hook sees; Mapping.Sync is an operation.
type Inject struct {
	inner FS
	hook  Hook

	mu sync.Mutex // held while the hook runs, so that operations have one order
	n  int64      // operations so far
}

var _ FS = (*Inject)(nil)

// NewInject wraps inner. A nil hook lets everything go on and only counts.
func NewInject(inner FS, hook Hook) *Inject {
	return &Inject{inner: inner, hook: hook}
}

// Ops returns how many operations were begun.
func (x *Inject) Ops() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.n
}

// ask numbers the operation and returns the hook's decision, its error wrapped.
func (x *Inject) ask(op Op) Decision {
	x.mu.Lock()
	defer x.mu.Unlock()
	op.N = x.n
	x.n++
	if x.hook == nil {
		return Decision{}
	}
	d := x.hook(op)
	if d.Err != nil {
		d.Err = &fs.PathError{Op: op.Kind.String(), Path: op.Name, Err: d.Err}
	}
	return d
}

// do asks about an operation that returns nothing but an error, and does it.
func (x *Inject) do(op Op, call func() error) error {
	d := x.ask(op)
	if d.Err != nil && !d.Done {
		return d.Err
	}
	if err := call(); d.Err == nil {
		return err
	}
	return d.Err
}

// get asks about an operation that returns a value, and does it. A value that the caller is not to see is closed if it
// can be.
func get[T any](x *Inject, op Op, call func() (T, error)) (T, error) {
	var zero T
	d := x.ask(op)
	if d.Err != nil && !d.Done {
		return zero, d.Err
	}
	v, err := call()
	if d.Err == nil {
		return v, err
	}
	if c, ok := any(v).(io.Closer); ok && err == nil {
		_ = c.Close() // the injected error is the one to report
	}
	return zero, d.Err
}

// file does an opening operation and wraps what it opens.
func (x *Inject) file(kind OpKind, name string, open func(string) (File, error)) (File, error) {
	f, err := get(x, Op{Kind: kind, Name: name}, func() (File, error) { return open(name) })
	if err != nil {
		return nil, err
	}
	return &injectFile{x: x, f: f}, nil
}

// Create implements FS.
func (x *Inject) Create(name string) (File, error) { return x.file(OpCreate, name, x.inner.Create) }

// Open implements FS.
func (x *Inject) Open(name string) (File, error) { return x.file(OpOpen, name, x.inner.Open) }

// OpenRW implements FS.
func (x *Inject) OpenRW(name string) (File, error) { return x.file(OpOpenRW, name, x.inner.OpenRW) }

// Remove implements FS.
func (x *Inject) Remove(name string) error {
	return x.do(Op{Kind: OpRemove, Name: name}, func() error { return x.inner.Remove(name) })
}

// Rename implements FS.
func (x *Inject) Rename(oldName, newName string) error {
	op := Op{Kind: OpRename, Name: oldName, NewName: newName}
	return x.do(op, func() error { return x.inner.Rename(oldName, newName) })
}

// Link implements FS.
func (x *Inject) Link(oldName, newName string) error {
	op := Op{Kind: OpLink, Name: oldName, NewName: newName}
	return x.do(op, func() error { return x.inner.Link(oldName, newName) })
}

// MkdirAll implements FS.
func (x *Inject) MkdirAll(dir string) error {
	return x.do(Op{Kind: OpMkdirAll, Name: dir}, func() error { return x.inner.MkdirAll(dir) })
}

// List implements FS.
func (x *Inject) List(dir string) ([]string, error) {
	return get(x, Op{Kind: OpList, Name: dir}, func() ([]string, error) { return x.inner.List(dir) })
}

// Stat implements FS.
func (x *Inject) Stat(name string) (Info, error) {
	return get(x, Op{Kind: OpStat, Name: name}, func() (Info, error) { return x.inner.Stat(name) })
}

// SyncDir implements FS.
func (x *Inject) SyncDir(dir string) error {
	return x.do(Op{Kind: OpSyncDir, Name: dir}, func() error { return x.inner.SyncDir(dir) })
}

// Space implements FS.
func (x *Inject) Space(dir string) (Space, error) {
	return get(x, Op{Kind: OpSpace, Name: dir}, func() (Space, error) { return x.inner.Space(dir) })
}

// Lock implements FS.
func (x *Inject) Lock(name string) (io.Closer, error) {
	l, err := get(x, Op{Kind: OpLock, Name: name}, func() (io.Closer, error) { return x.inner.Lock(name) })
	if err != nil {
		return nil, err
	}
	return &injectLock{x: x, l: l, name: name}, nil
}

// injectLock is a lock taken through Inject.
type injectLock struct {
	x    *Inject
	l    io.Closer
	name string
}

func (l *injectLock) Close() error { return l.x.end(Op{Kind: OpUnlock, Name: l.name}, l.l) }

// end asks about a closing operation and does it whatever the answer.
func (x *Inject) end(op Op, c io.Closer) error {
	d := x.ask(op)
	if err := c.Close(); d.Err == nil {
		return err
	}
	return d.Err
}
