package ledger

import (
	"bytes"
	"math/bits"
	"sync/atomic"
)

// keyIndex finds a memtable's keys by their hash: open addressing with linear probing, at most three quarters full. It
// has one writer; readers take no lock. Who began with a table that has been outgrown finds all that was in it then.
type keyIndex struct {
	slots atomic.Pointer[[]atomic.Uint64] // low half: number of a key, 0 for none; high half: low half of its hash
	keys  int                             // the writer's
}

const minIndexSlots = 64

func (x *keyIndex) init(expected int) {
	size := max(minIndexSlots, 1<<bits.Len(uint(expected+expected/2)))
	slots := make([]atomic.Uint64, size)
	x.slots.Store(&slots)
}

// find returns the number of a key. A slot is stored after the key it names was filled in.
func (x *keyIndex) find(o *keyOrder, d *dataArena, hash uint64, key []byte) (number uint32, known bool) {
	slots := *x.slots.Load()
	mask := uint32(len(slots) - 1)
	for i := uint32(hash) & mask; ; i = (i + 1) & mask {
		s := slots[i].Load()
		if s == 0 {
			return 0, false
		}
		if uint32(s>>32) == uint32(hash) && bytes.Equal(o.bytes(uint32(s), d), key) {
			return uint32(s), true
		}
	}
}

// add adds a key that is not there.
func (x *keyIndex) add(hash uint64, number uint32) {
	slots := *x.slots.Load()
	if x.keys++; x.keys > len(slots)/4*3 {
		slots = x.grow(slots)
	}
	insertSlot(slots, hash<<32|uint64(number))
}

// grow doubles the table. Readers go on in the old one, which gets nothing more.
func (x *keyIndex) grow(old []atomic.Uint64) []atomic.Uint64 {
	slots := make([]atomic.Uint64, 2*len(old))
	for i := range old {
		if s := old[i].Load(); s != 0 {
			insertSlot(slots, s)
		}
	}
	x.slots.Store(&slots)
	return slots
}

func insertSlot(slots []atomic.Uint64, s uint64) {
	mask := uint32(len(slots) - 1)
	i := uint32(s>>32) & mask
	for slots[i].Load() != 0 {
		i = (i + 1) & mask
	}
	slots[i].Store(s)
}

// names keeps each content type and principal of a memtable once, for one writer and many readers.
type names struct {
	list slab[string]
	byID map[string]uint32 // the writer's
	cost int64             // of names added since takeCost; the writer's
}

// nameBytes is what a name costs beside its bytes.
const nameBytes = 64

func (n *names) init() {
	n.byID = make(map[string]uint32)
	n.list.add() // the empty one
}

// number returns the number of a name, which is new perhaps.
func (n *names) number(s string) uint32 {
	if s == "" {
		return 0
	}
	id, ok := n.byID[s]
	if !ok {
		var place *string
		id, place = n.list.add()
		*place = s
		n.byID[s] = id
		n.cost += int64(len(s)) + nameBytes
	}
	return id
}

// takeCost returns what the names added since the last call cost.
func (n *names) takeCost() int64 {
	cost := n.cost
	n.cost = 0
	return cost
}

func (n *names) name(id uint32) string {
	if id == 0 {
		return ""
	}
	return *n.list.at(id)
}
