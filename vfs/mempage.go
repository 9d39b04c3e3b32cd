package vfs

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	memBlockBytes  = 4096 // what a disk allocates, and a mapping syncs, as a whole
	memSectorBytes = 512  // what a disk writes as a whole
)

// memPage is a sector: the least that can differ between what reads see and what a power cut leaves, so that little is
// copied where little changes.
type memPage [memSectorBytes]byte

const memPageBytes = memSectorBytes

var zeroPage memPage // read only

// memNode is a directory (dir is set) or a file. Mem.mu guards it.
//
// A file is two page tables, vol for what reads see and dur for what a power cut leaves; a nil page is zeros. The pages
// are shared wherever the two agree, and between a Mem and its crash clones, so a clone costs two small slices:
//
//   - A page in dur never changes; it is replaced.
//   - An unpinned page of vol is either the page of dur at its place, and then clean and not to be written, or the
//     node's own, and then unsynced.
//   - A pinned page lies in arena, where mappings see it; it never moves and is never in dur. Whether it is unsynced is
//     known only by comparing, which is saved where dirty says that nobody can have written.
//
// The bytes of vol beyond size are zeros.
type memNode struct {
	dir *memDir

	vol, dur         []*memPage
	size, durSize    int64
	alloc, durAlloc  int64 // bytes of blocks, from offset 0
	links, handles   int   // names in the volatile view; open files, mappings and locks
	locked           bool
	arena            []byte // whole pages; the memory of the first pages of vol once the file was mapped
	dirty            []bool // per pinned page: written since it last equalled dur
	mappings, stores int    // live mappings, and those of them that are writable
}

func pagesFor(size int64) int { return int(roundUp(size, memPageBytes) / memPageBytes) }

// page returns a page table's page at i as bytes to read.
func pageAt(table []*memPage, i int) *memPage {
	if i < len(table) && table[i] != nil {
		return table[i]
	}
	return &zeroPage
}

// own returns vol's page at i, ready to be written.
func (n *memNode) own(i int) *memPage {
	if i < len(n.dirty) {
		n.dirty[i] = true
		return n.vol[i]
	}
	if i >= len(n.vol) {
		n.vol = append(n.vol, make([]*memPage, i+1-len(n.vol))...)
	}
	p := n.vol[i]
	switch {
	case p == nil:
		p = new(memPage)
	case i < len(n.dur) && p == n.dur[i]:
		p = copyPage(p)
	default:
		return p
	}
	n.vol[i] = p
	return p
}

// fresh makes the pages from lo to hi that are missing, in one piece of memory.
func (n *memNode) fresh(lo, hi int) {
	lo = max(lo, len(n.dirty))
	if hi > len(n.vol) {
		n.vol = append(n.vol, make([]*memPage, hi-len(n.vol))...)
	}
	missing := 0
	for i := lo; i < hi; i++ {
		if n.vol[i] == nil {
			missing++
		}
	}
	if missing == 0 {
		return
	}
	pages := make([]memPage, missing)
	for i := lo; i < hi; i++ {
		if n.vol[i] == nil {
			n.vol[i], pages = &pages[0], pages[1:]
		}
	}
}

// unsynced says whether vol and dur differ at page i.
func (n *memNode) unsynced(i int) bool {
	v, d := pageAt(n.vol, i), pageAt(n.dur, i)
	if v == d {
		return false
	}
	if i < len(n.dirty) && !n.dirty[i] && n.stores == 0 {
		return false
	}
	return !samePage(v, d)
}

// syncPage makes vol's page at i durable. A pinned page stays suspect while a writable mapping lives.
func (n *memNode) syncPage(i int) {
	if n.unsynced(i) {
		if i >= len(n.dur) {
			n.dur = append(n.dur, make([]*memPage, i+1-len(n.dur))...)
		}
		if i < len(n.dirty) {
			n.dur[i] = copyPage(n.vol[i])
		} else if i < len(n.vol) {
			n.dur[i] = n.vol[i]
		} else {
			n.dur[i] = nil
		}
	}
	if i < len(n.dirty) {
		n.dirty[i] = false
	}
}

// sync makes the whole file durable, its size and blocks too.
func (n *memNode) sync() {
	pages := pagesFor(n.size)
	for i := range pages {
		n.syncPage(i)
	}
	if len(n.dur) > pages {
		clear(n.dur[pages:])
		n.dur = n.dur[:pages]
	}
	n.durSize, n.durAlloc = n.size, n.alloc
}

// read copies from vol at off, which with p ends inside the file.
func (n *memNode) read(p []byte, off int64) {
	for len(p) > 0 {
		k := copy(p, pageAt(n.vol, int(off/memPageBytes))[off%memPageBytes:])
		p, off = p[k:], off+int64(k)
	}
}

// write copies into vol at off and grows the file. The blocks must be allocated.
func (n *memNode) write(p []byte, off int64) {
	n.fresh(int(off/memPageBytes), pagesFor(off+int64(len(p))))
	for len(p) > 0 {
		k := copy(n.own(int(off / memPageBytes))[off%memPageBytes:], p)
		p, off = p[k:], off+int64(k)
	}
	n.size = max(n.size, off)
}

// truncate sets the size. Growing makes a hole; shrinking gives back the blocks behind the end.
func (n *memNode) truncate(size int64) {
	if size < n.size {
		pages := pagesFor(size)
		if rest := size % memPageBytes; rest != 0 && pageAt(n.vol, pages-1) != &zeroPage {
			clear(n.own(pages - 1)[rest:])
		}
		for i := pages; i < len(n.dirty); i++ {
			clear(n.own(i)[:])
		}
		if keep := max(pages, len(n.dirty)); len(n.vol) > keep {
			clear(n.vol[keep:])
			n.vol = n.vol[:keep]
		}
	}
	n.size = size
}

// pin moves the first length bytes into one piece of memory that a mapping can show.
func (n *memNode) pin(length int64) error {
	if length <= int64(len(n.arena)) {
		return nil
	}
	if n.mappings > 0 {
		return unix.EBUSY // the memory of the live mappings cannot move
	}
	pages := pagesFor(max(length, n.size))
	arena := make([]byte, pages*memPageBytes)
	dirty := make([]bool, pages)
	vol := make([]*memPage, max(pages, len(n.vol)))
	copy(vol, n.vol)
	for i := range pages {
		dirty[i] = n.unsynced(i)
		vol[i] = (*memPage)(arena[i*memPageBytes:])
		if p := pageAt(n.vol, i); p != &zeroPage {
			*vol[i] = *p
		}
	}
	n.arena, n.dirty, n.vol = arena, dirty, vol
	return nil
}

// memWords is a page as machine words.
type memWords [memPageBytes / 8]uint64

// samePage compares without telling the race detector: another goroutine may store through a mapping meanwhile, as it
// may while a disk controller reads the page. Comparing the arrays with == would tell it, whatever the directive says.
//
//go:norace
//go:noinline
func samePage(a, b *memPage) bool {
	x, y := (*memWords)(unsafe.Pointer(a)), (*memWords)(unsafe.Pointer(b))
	for i := 0; i < len(x); i += 4 {
		if (x[i]^y[i])|(x[i+1]^y[i+1])|(x[i+2]^y[i+2])|(x[i+3]^y[i+3]) != 0 {
			return false
		}
	}
	return true
}

// readPage copies likewise.
//
//go:norace
//go:noinline
func readPage(to, from *memPage) {
	x, y := (*memWords)(unsafe.Pointer(to)), (*memWords)(unsafe.Pointer(from))
	for i := 0; i < len(x); i += 4 {
		x[i], x[i+1], x[i+2], x[i+3] = y[i], y[i+1], y[i+2], y[i+3]
	}
}

func copyPage(p *memPage) *memPage {
	c := new(memPage)
	readPage(c, p)
	return c
}
