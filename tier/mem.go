package tier

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// MemOptions are the settings of a Mem. Zero values mean the defaults given.
type MemOptions struct {
	// PartBytes is the size from which on a body goes up in parts, of this size. Default 8 MiB.
	PartBytes int64
	// Retention locks sealed objects for so long from their making. 0: no Object Lock.
	Retention time.Duration
	// Timeout is how long a request may take: one that is delayed for longer, or stalls, fails then. Default 30 s.
	Timeout time.Duration
	// Faults is asked about every request, one at a time, in the order in which they come. It must not use the store.
	// nil: no faults.
	Faults func(Request) Fault
	// Now is the store's clock. nil: a clock that stands still at the Unix epoch.
	Now func() time.Time
	// Sleep waits for d or until ctx ends, and returns the context's error then. nil: it waits in real time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Mem is an object store in memory, with faults. Without goroutines on the caller's side its answers depend on the
// calls and the options alone.
type Mem struct {
	opts MemOptions

	mu       sync.Mutex // guards everything below, and is held while Faults runs
	objects  map[string]*memObject
	uploads  map[string]*memUpload // by id
	requests int64
	counts   [opEnd]int64
	serial   int64 // of what was made last: gives upload ids and ETags
}

var _ Store = (*Mem)(nil)

// memObject is an object. Its data is never changed in place, so readers need no lock.
type memObject struct {
	Object
	data   []byte
	locked time.Time // until when it may be neither deleted nor overwritten
}

type memUpload struct {
	Upload
	parts [][]byte
}

// NewMem returns an empty store.
func NewMem(opts MemOptions) *Mem {
	opts.PartBytes = cmp.Or(opts.PartBytes, 8<<20)
	opts.Timeout = cmp.Or(opts.Timeout, 30*time.Second)
	if opts.Now == nil {
		opts.Now = func() time.Time { return time.Unix(0, 0) }
	}
	if opts.Sleep == nil {
		opts.Sleep = sleep
	}
	return &Mem{opts: opts, objects: map[string]*memObject{}, uploads: map[string]*memUpload{}}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Name implements Store.
func (m *Mem) Name() string { return "mem" }

// LockAvailable implements [Locking].
func (m *Mem) LockAvailable(context.Context) (bool, error) { return m.opts.Retention > 0, nil }

// Count returns how many requests of a kind were made, failed ones included.
func (m *Mem) Count(op Op) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[op]
}

// Tamper replaces the bytes of an object and nothing else of it but its size, as damage at rest would. change gets a
// copy; what it returns is the store's. It returns whether there is such an object.
func (m *Mem) Tamper(key string, change func([]byte) []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.objects[key]
	if old == nil {
		return false
	}
	o := *old
	o.data = change(bytes.Clone(old.data))
	o.Size = int64(len(o.data))
	m.objects[key] = &o
	return true
}

// Get implements Store.
func (m *Mem) Get(ctx context.Context, key string, off, n int64) (*Reader, error) {
	var r *Reader
	f, err := m.do(ctx, Request{Op: OpGet, Key: key, Off: off, Len: n}, CheckKey(key), func() error {
		o := m.objects[key]
		if o == nil {
			return ErrNotFound
		}
		length, err := Span(o.Size, off, n)
		if err != nil {
			return err
		}
		r = NewReader(o.copy(), length, io.NopCloser(bytes.NewReader(o.data[off:off+length])))
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.spoil(ctx, r, f)
	return r, nil
}

func (o *memObject) copy() Object {
	c := o.Object
	c.Metadata, c.SHA256 = maps.Clone(o.Metadata), bytes.Clone(o.SHA256)
	return c
}

// Head implements Store.
func (m *Mem) Head(ctx context.Context, key string) (Object, error) {
	var found Object
	_, err := m.do(ctx, Request{Op: OpHead, Key: key}, CheckKey(key), func() error {
		o := m.objects[key]
		if o == nil {
			return ErrNotFound
		}
		found = o.copy()
		return nil
	})
	return found, err
}

// List implements Store.
func (m *Mem) List(ctx context.Context, prefix, after string, limit int) (Page, error) {
	var page Page
	_, err := m.do(ctx, Request{Op: OpList, Key: prefix}, CheckPrefix(prefix), func() error {
		for _, key := range slices.Sorted(maps.Keys(m.objects)) {
			if !strings.HasPrefix(key, prefix) || key <= after {
				continue
			}
			if len(page.Objects) == PageLimit(limit) {
				page.Next = page.Objects[len(page.Objects)-1].Key
				break
			}
			o := m.objects[key].Object
			o.SHA256, o.Metadata = nil, nil
			page.Objects = append(page.Objects, o)
		}
		return nil
	})
	return page, err
}

// Delete implements Store.
func (m *Mem) Delete(ctx context.Context, key string) error {
	_, err := m.do(ctx, Request{Op: OpDelete, Key: key}, CheckKey(key), func() error {
		if o := m.objects[key]; o != nil && m.opts.Now().Before(o.locked) {
			return ErrLocked
		}
		delete(m.objects, key)
		return nil
	})
	return err
}

// Replace implements Store.
func (m *Mem) Replace(ctx context.Context, key string, body Body, ifMatch string, opts PutOptions) (Object, error) {
	if err := CheckReplace(key, body, opts); err != nil {
		return Object{}, failed("replace", key, err)
	}
	return m.put(ctx, OpReplace, key, body, opts, func(old *memObject) error {
		switch {
		case ifMatch != "" && (old == nil || old.ETag != ifMatch):
			return ErrChanged
		case old != nil && m.opts.Now().Before(old.locked):
			return ErrLocked
		}
		return nil
	})
}

// Put implements Store.
func (m *Mem) Put(ctx context.Context, key string, body Body, opts PutOptions) (Object, error) {
	if err := CheckPut(key, body, opts); err != nil {
		return Object{}, failed("put", key, err)
	}
	absent := func(old *memObject) error {
		if old != nil {
			return ErrExists
		}
		return nil
	}
	if body.Size > m.opts.PartBytes {
		return m.putParts(ctx, key, body, opts, absent)
	}
	return m.put(ctx, OpPut, key, body, opts, absent)
}

// put makes an object in one request, if what stands there allows it.
func (m *Mem) put(ctx context.Context, op Op, key string, body Body, opts PutOptions, may func(*memObject) error,
) (Object, error) {
	data := make([]byte, body.Size)
	if err := body.ReadFull(data, 0); err != nil {
		return Object{}, failed(op.String(), key, err)
	}
	if sha256.Sum256(data) != body.SHA256 {
		return Object{}, failed(op.String(), key, ErrMismatch)
	}
	var made Object
	_, err := m.do(ctx, Request{Op: op, Key: key, Len: body.Size}, nil, func() error {
		if err := m.may(key, may); err != nil {
			return err
		}
		made = m.store(key, data, body, opts)
		return nil
	})
	return made, err
}

// may says whether an object may be made: what stands there allows it, and no key is a directory of another, which
// stores that keep files refuse. The caller holds mu.
func (m *Mem) may(key string, rule func(old *memObject) error) error {
	if err := rule(m.objects[key]); err != nil {
		return err
	}
	for other := range m.objects {
		if strings.HasPrefix(other, key+"/") || strings.HasPrefix(key, other+"/") {
			return fmt.Errorf("%w: one of %s and %s is a directory of the other", ErrInvalid, key, other)
		}
	}
	return nil
}

// store makes the object. The caller holds mu.
func (m *Mem) store(key string, data []byte, body Body, opts PutOptions) Object {
	m.serial++
	now := m.opts.Now()
	o := &memObject{data: data, Object: Object{
		Key: key, Size: int64(len(data)), ETag: fmt.Sprintf("%d-%s", m.serial, hex.EncodeToString(body.SHA256[:4])),
		SHA256: bytes.Clone(body.SHA256[:]), Metadata: maps.Clone(opts.Metadata), Modified: now,
	}}
	if opts.Sealed {
		o.locked = now.Add(m.opts.Retention)
	}
	m.objects[key] = o
	return o.copy()
}
