package vfs

import "math/rand/v2"

// Keep says how much of what was not synced outlives a power cut.
type Keep uint8

const (
	KeepNone   Keep = iota // only what was synced
	KeepAll                // everything, as after the end of the process alone
	KeepRandom             // any subset of sectors, sizes between old and new, a prefix of each directory's changes
)

// CrashOptions says what CrashClone keeps.
type CrashOptions struct {
	Keep Keep
	Rand *rand.Rand // for KeepRandom; nil means a fixed seed
}

// CrashClone returns the file system as it may stand after a power cut at this moment. The receiver, its open files and
// its mappings are untouched and share nothing with the clone that either could change. All that survives in the clone
// is durable there; it has no open files and no locks, and counts its operations from 0.
func (m *Mem) CrashClone(opts CrashOptions) *Mem {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if opts.Keep == KeepRandom && opts.Rand == nil {
		opts.Rand = rand.New(rand.NewPCG(0, 0))
	}
	c := crash{keep: opts.Keep, rand: opts.Rand, survived: map[*dirChange]bool{}, clones: map[*memNode]*memNode{}}
	c.choose(m.root.dir)
	clone := &Mem{limit: m.limit}
	clone.root = c.node(m.root, clone)
	return clone
}

// crash is one power cut in the making. Everything in it is visited in an order that the calls alone determine.
type crash struct {
	keep     Keep
	rand     *rand.Rand
	dirs     []*memDir           // that have pending changes
	survived map[*dirChange]bool // of the pending changes
	clones   map[*memNode]*memNode
}

// choose decides which pending directory changes survive: a prefix per directory, cut where a change needs one of
// another directory that did not survive.
func (c *crash) choose(root *memDir) {
	if c.keep == KeepNone {
		return
	}
	c.collect(root)
	kept := make([]int, len(c.dirs))
	for i, d := range c.dirs {
		kept[i] = len(d.pending)
		if c.keep == KeepRandom {
			kept[i] = c.rand.IntN(len(d.pending) + 1)
		}
		for _, ch := range d.pending[:kept[i]] {
			c.survived[ch] = true
		}
	}
	for changed := true; changed; { // a cut may take away what another directory's change needs
		changed = false
		for i, d := range c.dirs {
			for j, ch := range d.pending[:kept[i]] {
				if ch.needs == nil || ch.needs.durable || c.survived[ch.needs] {
					continue
				}
				for _, lost := range d.pending[j:kept[i]] {
					delete(c.survived, lost)
				}
				kept[i], changed = j, true
				break
			}
		}
	}
}

// collect lists the directories below d. A directory is durable from its making on, so the durable view has them all.
func (c *crash) collect(d *memDir) {
	if len(d.pending) > 0 {
		c.dirs = append(c.dirs, d)
	}
	for _, name := range sortedNames(d.durable) {
		if child := d.durable[name]; child.dir != nil {
			c.collect(child.dir)
		}
	}
}

// node returns the clone of a node; a file with two names has one clone.
func (c *crash) node(n *memNode, into *Mem) *memNode {
	if clone := c.clones[n]; clone != nil {
		return clone
	}
	var clone *memNode
	if n.dir != nil {
		clone = &memNode{dir: c.directory(n.dir, into)}
	} else {
		clone = c.file(n)
		into.used += clone.alloc
	}
	c.clones[n] = clone
	return clone
}

func (c *crash) directory(d *memDir, into *Mem) *memDir {
	left := make(map[string]*memNode, len(d.durable))
	for name, n := range d.durable {
		left[name] = n
	}
	for _, ch := range d.pending {
		if c.survived[ch] {
			ch.apply(left)
		}
	}
	clone := newMemDir().dir
	for _, name := range sortedNames(left) {
		n := c.node(left[name], into)
		n.links++
		clone.entries[name] = n
		clone.durable[name] = n
	}
	return clone
}

func (c *crash) file(n *memNode) *memNode {
	size := c.size(n)
	pages := make([]*memPage, pagesFor(size))
	copy(pages, n.dur)
	if c.keep != KeepNone {
		c.sectors(n, pages)
	}
	clone := &memNode{
		vol: make([]*memPage, len(pages)), dur: pages,
		size: size, durSize: size,
		alloc: c.blocks(n, size),
	}
	clone.durAlloc = clone.alloc
	if rest := size % memPageBytes; rest != 0 && pages[len(pages)-1] != nil {
		last := copyPage(pages[len(pages)-1])
		clear(last[rest:])
		pages[len(pages)-1] = last
	}
	copy(clone.vol, pages)
	return clone
}

// size picks the surviving size: the old, the new, or, as a file grows while pages are written back, one between.
func (c *crash) size(n *memNode) int64 {
	switch {
	case c.keep == KeepNone || n.size == n.durSize:
		return n.durSize
	case c.keep == KeepAll:
		return n.size
	}
	switch c.rand.IntN(3) {
	case 0:
		return n.durSize
	case 1:
		return n.size
	}
	lo, hi := min(n.size, n.durSize), max(n.size, n.durSize)
	between := (lo + c.rand.Int64N(hi-lo+1)) / memSectorBytes * memSectorBytes
	return max(lo, between)
}

// blocks says how many bytes of blocks go with a surviving size.
func (c *crash) blocks(n *memNode, size int64) int64 {
	switch {
	case c.keep == KeepAll, size == n.size && size != n.durSize:
		return n.alloc
	case size == n.durSize:
		return n.durAlloc
	}
	return min(max(n.alloc, n.durAlloc), roundUp(size, memBlockBytes))
}

// sectors puts the surviving unsynced sectors into pages, the clone's page table. How many survive is drawn anew for
// each file, so that "all but one" is as likely as "half".
func (c *crash) sectors(n *memNode, pages []*memPage) {
	share := 1.0
	if c.keep == KeepRandom {
		share = c.rand.Float64()
	}
	for i := range min(len(pages), pagesFor(n.size)) {
		if !n.unsynced(i) {
			continue
		}
		var v memPage
		readPage(&v, pageAt(n.vol, i)) // once, since a mapping may store meanwhile
		d := pageAt(n.dur, i)
		if v == *d || c.keep == KeepRandom && c.rand.Float64() >= share {
			continue
		}
		out := copyPage(d)
		end := min(memPageBytes, n.size-int64(i)*memPageBytes) // what lies behind was cut off, not written
		copy(out[:end], v[:])
		pages[i] = out
	}
}
