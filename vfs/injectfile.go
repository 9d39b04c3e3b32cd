package vfs

// injectFile is a file opened through Inject.
type injectFile struct {
	x *Inject
	f File
}

func (f *injectFile) op(kind OpKind, off, length int64) Op {
	return Op{Kind: kind, Name: f.f.Name(), Off: off, Len: length}
}

func (f *injectFile) Name() string { return f.f.Name() }

func (f *injectFile) ReadAt(p []byte, off int64) (int, error) {
	d := f.x.ask(f.op(OpReadAt, off, int64(len(p))))
	if d.Err != nil {
		return 0, d.Err
	}
	return f.f.ReadAt(p, off)
}

// WriteAt reports n = 0 for a write that was done and then failed: its caller cannot know better.
func (f *injectFile) WriteAt(p []byte, off int64) (int, error) {
	d := f.x.ask(f.op(OpWriteAt, off, int64(len(p))))
	if d.Err == nil {
		return f.f.WriteAt(p, off)
	}
	if d.Done {
		_, _ = f.f.WriteAt(p, off) // the injected error is the one to report
		return 0, d.Err
	}
	short := min(max(0, d.Short), int64(len(p)))
	if short == 0 {
		return 0, d.Err
	}
	n, err := f.f.WriteAt(p[:short], off)
	if err != nil {
		return n, err
	}
	return n, d.Err
}

func (f *injectFile) Size() (int64, error) {
	return get(f.x, f.op(OpSize, 0, 0), f.f.Size)
}

func (f *injectFile) Truncate(size int64) error {
	return f.x.do(f.op(OpTruncate, 0, size), func() error { return f.f.Truncate(size) })
}

func (f *injectFile) Preallocate(size int64) error {
	return f.x.do(f.op(OpPreallocate, 0, size), func() error { return f.f.Preallocate(size) })
}

func (f *injectFile) Sync() error {
	return f.x.do(f.op(OpSync, 0, 0), f.f.Sync)
}

func (f *injectFile) StartSync(off, n int64) error {
	return f.x.do(f.op(OpStartSync, off, n), func() error { return f.f.StartSync(off, n) })
}

func (f *injectFile) DropCache() error {
	return f.x.do(f.op(OpDropCache, 0, 0), f.f.DropCache)
}

func (f *injectFile) Close() error { return f.x.end(f.op(OpClose, 0, 0), f.f) }

func (f *injectFile) Map(length int64, writable bool) (Mapping, error) {
	m, err := get(f.x, f.op(OpMap, 0, length), func() (Mapping, error) { return f.f.Map(length, writable) })
	if err != nil {
		return nil, err
	}
	return &injectMapping{x: f.x, m: m, name: f.f.Name()}, nil
}

// injectMapping is a mapping made through Inject.
type injectMapping struct {
	x    *Inject
	m    Mapping
	name string
}

func (m *injectMapping) Bytes() []byte { return m.m.Bytes() }

func (m *injectMapping) Sync(off, n int64) error {
	return m.x.do(Op{Kind: OpMapSync, Name: m.name, Off: off, Len: n}, func() error { return m.m.Sync(off, n) })
}

func (m *injectMapping) Close() error { return m.x.end(Op{Kind: OpUnmap, Name: m.name}, m.m) }
