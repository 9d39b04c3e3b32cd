package ledger

import (
	"encoding/binary"
	"errors"

	"github.com/scribe-ledger/scribe/merkle"
)

// idempotencyWindow is how many writes with an idempotency key are remembered. It is part of the replicated state: all
// replicas forget the same key at the same entry.
const idempotencyWindow = 100_000

// remembered is one successful write under an idempotency key. It never changes once made, so that a snapshot of the
// window is a copy of pointers.
type remembered struct {
	key      string
	request  merkle.Hash
	firstSeq uint64
	count    uint64
	time     int64
	leaf     merkle.Hash
}

// memory is the idempotency window: the last successes, oldest first. Owned by the apply loop.
type memory struct {
	window int // how many are remembered; the same on all replicas
	byKey  map[string]*remembered
	order  []*remembered
}

func newMemory(window int) *memory {
	return &memory{window: window, byKey: make(map[string]*remembered)}
}

func (m *memory) find(key string) *remembered { return m.byKey[key] }

func (m *memory) add(r *remembered) {
	m.byKey[r.key] = r
	m.order = append(m.order, r)
	if len(m.order) > m.window {
		delete(m.byKey, m.order[0].key)
		m.order[0] = nil
		m.order = m.order[1:]
	}
}

// snapshot returns the window as it is now.
func (m *memory) snapshot() []*remembered { return append([]*remembered(nil), m.order...) }

// encodeMemory writes a snapshot: per write, key length u8 · key · request hash 32 · first seq u64 · count u64 · time u64
// · leaf hash 32, big-endian, oldest first.
func encodeMemory(order []*remembered) []byte {
	size := 0
	for _, r := range order {
		size += 1 + len(r.key) + 2*merkle.HashSize + 3*8
	}
	b := make([]byte, 0, size)
	for _, r := range order {
		b = append(b, byte(len(r.key)))
		b = append(b, r.key...)
		b = append(b, r.request[:]...)
		b = binary.BigEndian.AppendUint64(b, r.firstSeq)
		b = binary.BigEndian.AppendUint64(b, r.count)
		b = binary.BigEndian.AppendUint64(b, uint64(r.time))
		b = append(b, r.leaf[:]...)
	}
	return b
}

// decodeMemory restores what encodeMemory wrote.
func decodeMemory(b []byte, window int) (*memory, error) {
	m := newMemory(window)
	d := decoder{b: b}
	for len(d.b) > 0 {
		r := &remembered{key: string(d.take(uint64(d.u8())))}
		r.request = d.hash()
		r.firstSeq, r.count, r.time = d.u64(), d.u64(), int64(d.u64())
		r.leaf = d.hash()
		if d.bad || r.key == "" || len(r.key) > MaxIdempotencyBytes || m.byKey[r.key] != nil ||
			len(m.order) == window {
			return nil, errors.New("ledger: malformed idempotency window")
		}
		m.add(r)
	}
	return m, nil
}
