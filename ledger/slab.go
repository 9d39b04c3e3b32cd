package ledger

import "sync/atomic"

// slabChunk is how many elements a slab grows by.
const slabChunk = 256

// slab is a growing list that one goroutine appends to while others read, without a lock. Elements never move. They hold
// no pointers where the collector should not look into them.
//
// A reader may ask for an element whose number it took from an atomic that the writer stored after filling the element
// in; that store is what makes the element, and the chunk it is in, visible.
type slab[T any] struct {
	chunks atomic.Pointer[[]*[slabChunk]T]
	n      uint32 // elements; the writer's
}

// add appends an element, to be filled in before its number is published.
func (s *slab[T]) add() (number uint32, element *T) {
	number = s.n
	if number%slabChunk == 0 {
		s.grow()
	}
	s.n++
	return number, s.at(number)
}

// grow adds a chunk. Readers hold older slice headers, whose elements stay as they are.
func (s *slab[T]) grow() {
	var chunks []*[slabChunk]T
	if old := s.chunks.Load(); old != nil {
		chunks = *old
	}
	chunks = append(chunks, new([slabChunk]T))
	s.chunks.Store(&chunks)
}

func (s *slab[T]) at(number uint32) *T {
	return &(*s.chunks.Load())[number/slabChunk][number%slabChunk]
}

const (
	dataChunkMin = 4 << 10
	dataChunkMax = 1 << 20
)

// place says where bytes lie in a dataArena.
type place struct{ chunk, offset uint32 }

// dataArena keeps byte strings, for one writer and many readers as slab does. Strings never move and never change, so
// readers get them as they lie; who keeps one keeps its chunk.
type dataArena struct {
	chunks slabOfBytes
	open   uint32 // the chunk with room
	free   []byte // what is left of it
}

type slabOfBytes = slab[[]byte]

// put copies b.
func (a *dataArena) put(b []byte) place {
	if len(b) > len(a.free) || a.chunks.n == 0 {
		a.grow(len(b))
	}
	chunk := *a.chunks.at(a.open)
	at := place{a.open, uint32(len(chunk) - len(a.free))}
	copy(a.free, b)
	a.free = a.free[len(b):]
	return at
}

// grow opens a chunk: twice as large as the one before, within limits, and with room for size bytes.
func (a *dataArena) grow(size int) {
	next := dataChunkMin
	if a.chunks.n > 0 {
		next = min(2*len(*a.chunks.at(a.open)), dataChunkMax)
	}
	a.free = make([]byte, max(next, size))
	a.open = a.alias(a.free).chunk
}

// alias takes b as it is. It must not change any more.
func (a *dataArena) alias(b []byte) place {
	number, chunk := a.chunks.add()
	*chunk = b
	return place{chunk: number}
}

func (a *dataArena) get(at place, size uint32) []byte {
	chunk := *a.chunks.at(at.chunk)
	end := at.offset + size
	return chunk[at.offset:end:end]
}
