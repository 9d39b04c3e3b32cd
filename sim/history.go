package sim

import (
	"encoding/binary"
	"time"
)

// opKind is what a client wants.
type opKind uint8

const (
	opPut   opKind = iota + 1 // one key
	opBatch                   // several keys, all or none
	opDelete
	opGet   // linearizable
	opStale // whatever the node has
)

func (k opKind) String() string {
	return [...]string{"", "put", "batch", "delete", "get", "stale get"}[min(k, opStale)]
}

// condition is what a put or delete asks of its key.
type condition uint8

const (
	noCondition condition = iota
	ifAbsent              // If-None-Match: *
	ifSeq                 // If-Match with one version
)

// opState is what is known of an operation.
type opState uint8

const (
	opUnderWay  opState = iota
	opDone              // it has taken effect, or the read has its answer
	opNotMet            // a condition failed, or the key to delete had no live version
	opNotDone           // refused for certain, and given up
	opUncertain         // given up without an answer
)

const maxBatchKeys = 4

// operation is one operation of a client: with an idempotency key one or more attempts, without one exactly one that
// was not refused for certain.
type operation struct {
	kind      opKind
	state     opState
	condition condition
	keyCount  uint8
	client    int32
	keys      [maxBatchKeys]int32 // into history.keys
	size      int32               // of the values
	idem      bool
	uncertain bool   // an attempt ended without an answer, so another may find its effect
	expect    uint64 // ifSeq: the version
	begin     time.Duration
	end       time.Duration
	floor     uint64 // entries that whoever had been answered before it began knew of

	seq    uint64 // of the first entry written; of the version read, or that stood against it
	view   uint64 // reads: entries that the node had
	found  bool   // reads: there was a live version; opNotMet: the key had been written
	gone   bool   // reads, deletes: the version is a tombstone
	effect bool   // writes: it is in the ledger in the end
}

// attempt is one request of an operation, to one node.
type attempt struct {
	op      int32
	number  int32 // of all attempts; its commands carry it as their principal
	at      *replica
	state   attemptState
	asked   pendingCall
	client  *client
	applied int    // entries found at the end
	seq     uint64 // of the first of them
}

type attemptState uint8

const (
	attemptUnderWay attemptState = iota
	attemptAnswered              // took effect, or a condition failed
	attemptRefused               // certainly without effect
	attemptUnknown
)

// keyInfo is one key. A key is written for a while and then left for good, so that its history stays short.
type keyInfo struct {
	name []byte
	ops  []int32 // that touch it, in the order of their begin
	last uint64  // the newest version that a client has seen, plus 1
}

// history is all that the clients did.
type history struct {
	ops      []operation
	attempts []*attempt
	keys     []keyInfo
	scratch  []byte
	floor    uint64 // entries that some client has been told of, by a receipt or a linearizable read
}

// value makes the value that an operation writes to one of its keys: it names both, and fills up to its size.
func (h *history) value(b []byte, op int32, key int) []byte {
	size := int(h.ops[op].size)
	b = binary.BigEndian.AppendUint32(b[:0], uint32(op))
	b = append(b, byte(key))
	for seed := uint64(op)*0x9e3779b97f4a7c15 + uint64(key); len(b) < size; {
		seed ^= seed >> 12
		seed ^= seed << 25
		seed ^= seed >> 27
		b = binary.LittleEndian.AppendUint64(b, seed)
	}
	return b[:max(size, 5)]
}
