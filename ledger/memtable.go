package ledger

import (
	"crypto/sha256"
	"hash/maphash"
	"sort"
	"sync/atomic"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

const (
	// versionBytes and keyBytes are what an entry and a new key cost in a memtable beside their bytes: the structs below,
	// and the key's share of the tree's nodes, which are two thirds full, and of the hash table.
	versionBytes = 128
	keyBytes     = 80
	// aliasBytes is the size from which a value is not copied into the memtable.
	aliasBytes = 16 << 10
)

// memtable holds the entries of a contiguous seq range that are not in a segment yet. The apply loop alone adds to it,
// and nothing is ever changed or taken away; readers come from any goroutine, at any time, and take no lock.
//
// Entries come in by add, a batch of them, and count for readers once they are hashed, linked and published, in this order.
// The writer itself finds a key's newest version before that (see newest), but without its hashes.
//
// What a reader finds may go beyond what it may see: an entry is linked before its size is published. So every reader
// has a bound, a seq below a size that was published before it began, and passes over what is newer. All that is below
// its bound it finds, as links are stored before sizes.
//
// Versions and keys are numbered, in slabs without pointers, and bytes lie in few large pieces, so the garbage collector
// has next to nothing to walk. Entries are made from them as they are read; their bytes are not copied.
type memtable struct {
	first    uint64
	seed     maphash.Seed // clients choose the keys, and must not choose their places
	versions slab[version]
	order    keyOrder
	index    keyIndex
	data     dataArena
	names    names

	entries atomic.Uint32 // versions that readers may look at
	bytes   atomic.Int64  // keys, values and overhead
	client  atomic.Int64  // puts and deletes
	oldest  atomic.Int64  // time of the oldest put or delete, microseconds
	own     []uint32      // the ledger's own entries; the writer's, and the flusher's once no more come
	fresh   []freshKey    // keys that have no place in order yet; the writer's
	handed  uint32        // entries that are hashed, or somebody is at it; the writer's
}

// version is an entry. Its number is its seq less the memtable's first; a link to one is that plus one, and zero is none.
type version struct {
	time                   int64
	key                    uint32 // number of its key
	older                  uint32 // link to the version of the key before this one
	jump                   uint32 // link to one further back, see jumpOf
	depth                  uint32 // how many versions are before this one
	value                  place
	valueSize              uint32
	contentType, principal uint32 // in names
	op                     tlog.Op
	valueHash, leaf        merkle.Hash
}

// newMemtable makes room for as many keys as the memtable before it came to hold.
func newMemtable(first uint64, expected int) *memtable {
	m := &memtable{first: first, seed: maphash.MakeSeed()}
	m.order.init()
	m.index.init(expected)
	m.names.init()
	return m
}

// keys is how many keys the memtable holds. For the writer.
func (m *memtable) keys() int { return m.index.keys }

// add appends an entry, whose hashes may still be missing (see hash); its seq is the memtable's end. The memtable keeps
// e.Value where retain is set, which says that this costs no more memory than its size; otherwise, and everything else, it
// copies.
func (m *memtable) add(e *Entry, retain bool) {
	number, v := m.versions.add()
	v.op, v.time, v.valueSize, v.valueHash, v.leaf = e.Op, e.Time, uint32(len(e.Value)), e.ValueHash, e.Leaf
	v.contentType, v.principal = m.names.number(e.ContentType), m.names.number(e.Principal)
	if retain && len(e.Value) >= aliasBytes {
		v.value = m.data.alias(e.Value)
	} else {
		v.value = m.data.put(e.Value)
	}
	size := int64(len(e.Value)) + versionBytes + m.names.takeCost()
	if e.Op == tlog.OpSegment {
		v.key = m.order.newKey(e.Key, &m.data)
		m.own = append(m.own, number)
		size += int64(len(e.Key)) + keyBytes
	} else {
		hash := maphash.Bytes(m.seed, e.Key)
		k, known := m.index.find(&m.order, &m.data, hash, e.Key)
		if !known {
			k = m.order.newKey(e.Key, &m.data)
			size += int64(len(e.Key)) + keyBytes
		}
		v.key = k
		m.linkVersion(number+1, v, k)
		if !known {
			m.fresh = append(m.fresh, freshKeyOf(e.Key, k))
			m.index.add(hash, k)
		}
		if m.client.Load() == 0 {
			m.oldest.Store(e.Time)
		}
		m.client.Add(1)
	}
	m.bytes.Add(size)
}

// hash computes what the trees commit to, for the entries that were added with numbers in [from, to): the hash of each
// value, and the leaf hash over each record. It may run beside the writer, and in several places at once, on entries
// of which readers see nothing yet.
func (m *memtable) hash(from, to uint32) {
	var e Entry
	for number := from; number < to; number++ {
		m.load(number+1, &e)
		e.ValueHash = sha256.Sum256(e.Value)
		v := m.versions.at(number)
		v.valueHash, v.leaf = e.ValueHash, e.LeafHash()
	}
}

// link gives the new keys of the entries added so far their places in order.
func (m *memtable) link() {
	m.order.link(m.fresh, &m.data)
	m.fresh = m.fresh[:0]
}

// publish lets readers look at all that was added. It must be hashed and linked.
func (m *memtable) publish() { m.entries.Store(m.versions.n) }

// linkVersion makes a version the newest of its key.
func (m *memtable) linkVersion(link uint32, v *version, key uint32) {
	newest := &m.order.keys.at(key).newest
	if v.older = newest.Load(); v.older != 0 {
		v.depth = m.version(v.older).depth + 1
		v.jump = m.jumpOf(v.older)
	}
	newest.Store(link)
}

// jumpOf returns the second link of the version after parent, such that from any version, any older one is reached over
// a number of links that is logarithmic in their distance: two jumps of equal length become one of twice that length
// (Myers, "An applicative random-access stack", 1983).
func (m *memtable) jumpOf(parent uint32) uint32 {
	p := m.version(parent)
	if p.jump != 0 {
		j := m.version(p.jump)
		if j.jump != 0 && p.depth-j.depth == j.depth-m.version(j.jump).depth {
			return j.jump
		}
	}
	return parent
}

func (m *memtable) version(link uint32) *version { return m.versions.at(link - 1) }

// asOf returns the link to the newest version with seq <= maxSeq, at or behind a link; zero when there is none.
func (m *memtable) asOf(link uint32, maxSeq uint64) uint32 {
	if maxSeq < m.first {
		return 0
	}
	last := maxSeq - m.first // the number of the last version that may be seen
	for link != 0 && uint64(link-1) > last {
		v := m.version(link)
		if v.jump != 0 && uint64(v.jump-1) > last {
			link = v.jump
		} else {
			link = v.older
		}
	}
	return link
}

// find returns the link to the newest version of key with seq <= maxSeq, tombstones included; zero when there is none.
func (m *memtable) find(key []byte, maxSeq uint64) uint32 {
	k, known := m.index.find(&m.order, &m.data, maphash.Bytes(m.seed, key), key)
	if !known {
		return 0
	}
	return m.asOf(m.order.keys.at(k).newest.Load(), maxSeq)
}

// size returns the entries, the bytes, the puts and deletes among the entries, and the time of the oldest of these.
func (m *memtable) size() (entries int, bytes int64, client int, oldest int64) {
	return int(m.entries.Load()), m.bytes.Load(), int(m.client.Load()), m.oldest.Load()
}

// load fills e with the version that link stands for.
func (m *memtable) load(link uint32, e *Entry) {
	v := m.version(link)
	e.Op, e.Seq, e.Time = v.op, m.first+uint64(link-1), v.time
	e.Key = m.order.bytes(v.key, &m.data)
	e.ContentType, e.Principal = m.names.name(v.contentType), m.names.name(v.principal)
	e.ValueSize, e.ValueHash, e.Leaf = uint64(v.valueSize), v.valueHash, v.leaf
	e.Value = m.data.get(v.value, v.valueSize)
}

// get returns the newest version of key with seq <= maxSeq, tombstones included; nil when there is none.
func (m *memtable) get(key []byte, maxSeq uint64) *Entry {
	link := m.find(key, maxSeq)
	if link == 0 {
		return nil
	}
	e := new(Entry)
	m.load(link, e)
	return e
}

// newest returns the newest version of key with seq <= maxSeq, also before it is hashed.
func (m *memtable) newest(key []byte, maxSeq uint64) Finding {
	link := m.find(key, maxSeq)
	if link == 0 {
		return Finding{}
	}
	return Finding{Exists: true, Live: m.version(link).op == tlog.OpPut, Seq: m.first + uint64(link-1)}
}

// at returns the entry with a seq; nil when the memtable does not hold it.
func (m *memtable) at(seq uint64) *Entry {
	e := new(Entry)
	if !m.loadAt(seq, e) {
		return nil
	}
	return e
}

// loadAt fills e with the entry with a seq, and says whether the memtable holds it.
func (m *memtable) loadAt(seq uint64, e *Entry) bool {
	if seq < m.first || seq-m.first >= uint64(m.entries.Load()) {
		return false
	}
	m.load(uint32(seq-m.first)+1, e)
	return true
}

// leaves copies leaf hashes from seq on into dst and returns how many it had.
func (m *memtable) leaves(seq uint64, dst []merkle.Hash) int {
	end := uint64(m.entries.Load())
	if seq < m.first || seq-m.first >= end {
		return 0
	}
	from := seq - m.first
	n := int(min(uint64(len(dst)), end-from))
	for i := range n {
		dst[i] = m.versions.at(uint32(from) + uint32(i)).leaf
	}
	return n
}

// leaf is the leaf hash of the entry with a seq, which the memtable holds.
func (m *memtable) leaf(seq uint64) merkle.Hash { return m.versions.at(uint32(seq - m.first)).leaf }

// countUntil returns how many entries have a time at or before t, as times never decrease along seq.
func (m *memtable) countUntil(t int64) uint64 {
	return uint64(sort.Search(int(m.entries.Load()), func(i int) bool { return m.versions.at(uint32(i)).time > t }))
}

// each calls f with all entries in segment order: the ledger's own first, by seq, then the rest by key, within a key the
// newest first. The entry is reused. Only for a memtable that no longer grows.
func (m *memtable) each(f func(*Entry) error) error {
	var e Entry
	for _, number := range m.own {
		m.load(number+1, &e)
		if err := f(&e); err != nil {
			return err
		}
	}
	at := m.order.start()
	for slot, ok := at.next(); ok; slot, ok = at.next() {
		for link := m.order.keys.at(at.leaf.key[slot]).newest.Load(); link != 0; link = m.version(link).older {
			m.load(link, &e)
			if err := f(&e); err != nil {
				return err
			}
		}
	}
	return nil
}
