package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// A command is the Data of one raft entry (docs/format/command.md). Its encoding, big-endian:
//
//	kind u8 · time u64 · body
//
//	body of a write:   idempotency length u8 · idempotency key · request hash 32 (only with a key)
//	                   principal length u8 · principal · op count uvarint · ops · findings, or nothing
//	op:                op u8 · key length uvarint · key · content-type length u8 · content type
//	                   condition count u8 · conditions · value length uvarint · value
//	condition:         kind u8 · any u8 · seq count uvarint · seqs u64 …
//	findings:          version u8, 1 · ledger size uvarint · per op that has a condition or deletes:
//	                   0 no version, 1 a tombstone, 2 live u8 · its seq uvarint (not with 0)
//	body of a seal:    first seq u64 of the memtable to seal, or sealAny
//	body of a record:  descriptor (tlog.Descriptor)
//	body of a check:   ledger size u64 · root of its tree 32
//	body of a merge:   first seq u64 · last seq u64 of the segments that become one
//	body of a tiered:  first seq u64 · last seq u64 · root 32 of the segment · bytes u64 · SHA-256 32 · meta offset u64
//	                   · name length u16 · name of its object
//
// The time stands at a fixed place so that the leader can stamp a command that was encoded elsewhere.
type commandKind uint8

const (
	kindWrite  commandKind = 1
	kindSeal   commandKind = 2
	kindRecord commandKind = 3
	kindCheck  commandKind = 4
	kindMerge  commandKind = 5
	kindTiered commandKind = 6
)

const (
	commandHeaderBytes = 1 + 8
	// maxConditions bounds the conditions of one op, maxConditionSeqs the entity tags of one condition.
	maxConditions    = 2
	maxConditionSeqs = 256
	// sealAny seals the active memtable whatever its first seq.
	sealAny = ^uint64(0)
)

var errCommand = errors.New("ledger: malformed command")

// StampTime sets the time of an encoded command, in microseconds since the epoch. The leader does so when it proposes.
func StampTime(command []byte, micros int64) {
	binary.BigEndian.PutUint64(command[1:], uint64(micros))
}

// EncodeWrite is EncodeFound without findings.
func EncodeWrite(cmd *Command) ([]byte, error) { return EncodeFound(cmd, Findings{}) }

// EncodeFound returns the raft entry data for a command, with time zero, and with what Check has found for it. It refuses
// what breaks a limit of the contract; lower limits set by configuration are the caller's to check.
func EncodeFound(cmd *Command, found Findings) ([]byte, error) {
	if len(cmd.Ops) == 0 || len(cmd.Ops) > MaxBatchOps {
		return nil, fmt.Errorf("ledger: a command has 1 to %d ops, not %d", MaxBatchOps, len(cmd.Ops))
	}
	if len(cmd.IdempotencyKey) > MaxIdempotencyBytes || len(cmd.Principal) > MaxPrincipalBytes {
		return nil, fmt.Errorf("ledger: idempotency key or principal is too long")
	}
	size := commandHeaderBytes + 1 + len(cmd.IdempotencyKey) + merkle.HashSize + 1 + len(cmd.Principal) +
		binary.MaxVarintLen64
	for i := range cmd.Ops {
		op := &cmd.Ops[i]
		if err := checkOp(op); err != nil {
			return nil, fmt.Errorf("ledger: op %d: %w", i, err)
		}
		size += 3 + len(op.Key) + len(op.ContentType) + len(op.Value) + 2*binary.MaxVarintLen64
		for _, c := range op.Conditions {
			size += 2 + binary.MaxVarintLen64 + 8*len(c.Seqs)
		}
	}
	if err := found.fit(cmd.Ops); err != nil {
		return nil, err
	}
	b := make([]byte, commandHeaderBytes, size+found.room())
	b[0] = byte(kindWrite)
	b = append(b, byte(len(cmd.IdempotencyKey)))
	if cmd.IdempotencyKey != "" {
		b = append(b, cmd.IdempotencyKey...)
		b = append(b, cmd.RequestHash[:]...)
	}
	b = append(b, byte(len(cmd.Principal)))
	b = append(b, cmd.Principal...)
	b = binary.AppendUvarint(b, uint64(len(cmd.Ops)))
	for i := range cmd.Ops {
		b = appendOp(b, &cmd.Ops[i])
	}
	return found.append(b), nil
}

func checkOp(op *WriteOp) error {
	switch {
	case op.Op != tlog.OpPut && op.Op != tlog.OpDelete:
		return fmt.Errorf("op %d is neither put nor delete", op.Op)
	case len(op.Key) == 0 || len(op.Key) > MaxKeyBytes:
		return fmt.Errorf("a key has 1 to %d bytes, not %d", MaxKeyBytes, len(op.Key))
	case len(op.Value) > MaxValueBytesLimit:
		return fmt.Errorf("a value has at most %d bytes, not %d", MaxValueBytesLimit, len(op.Value))
	case len(op.ContentType) > MaxContentTypeBytes:
		return fmt.Errorf("a content type has at most %d bytes, not %d", MaxContentTypeBytes, len(op.ContentType))
	case op.Op == tlog.OpDelete && (len(op.Value) > 0 || op.ContentType != ""):
		return errors.New("a delete carries no value and no content type")
	case len(op.Conditions) > maxConditions:
		return fmt.Errorf("an op has at most %d conditions", maxConditions)
	}
	for _, c := range op.Conditions {
		if c.Kind != IfMatch && c.Kind != IfNoneMatch {
			return fmt.Errorf("unknown condition kind %d", c.Kind)
		}
		if len(c.Seqs) > maxConditionSeqs {
			return fmt.Errorf("a condition names at most %d versions", maxConditionSeqs)
		}
	}
	return nil
}

func appendOp(b []byte, op *WriteOp) []byte {
	b = append(b, byte(op.Op))
	b = binary.AppendUvarint(b, uint64(len(op.Key)))
	b = append(b, op.Key...)
	b = append(b, byte(len(op.ContentType)))
	b = append(b, op.ContentType...)
	b = append(b, byte(len(op.Conditions)))
	for _, c := range op.Conditions {
		var isAny byte
		if c.Any {
			isAny = 1
		}
		b = append(b, byte(c.Kind), isAny)
		b = binary.AppendUvarint(b, uint64(len(c.Seqs)))
		for _, s := range c.Seqs {
			b = binary.BigEndian.AppendUint64(b, s)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(op.Value)))
	return append(b, op.Value...)
}

// encodeSeal returns the command that seals the memtable whose first seq is first (sealAny: whichever is active).
func encodeSeal(first uint64) []byte {
	b := make([]byte, commandHeaderBytes, commandHeaderBytes+8)
	b[0] = byte(kindSeal)
	return binary.BigEndian.AppendUint64(b, first)
}

// encodeRecord returns the command that records a built segment.
func encodeRecord(d tlog.Descriptor) []byte {
	b := make([]byte, commandHeaderBytes, commandHeaderBytes+64)
	b[0] = byte(kindRecord)
	return d.Append(b)
}

// encodeCheck returns the command that compares every replica's ledger root with the agreed one.
func encodeCheck(c RootCheck) []byte {
	b := make([]byte, commandHeaderBytes, commandHeaderBytes+8+merkle.HashSize)
	b[0] = byte(kindCheck)
	b = binary.BigEndian.AppendUint64(b, c.Size)
	return append(b, c.Root[:]...)
}

// encodeMerge returns the command that decides that the segments of these seqs become one.
func encodeMerge(r manifest.Range) []byte {
	b := make([]byte, commandHeaderBytes, commandHeaderBytes+2*8)
	b[0] = byte(kindMerge)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, r.FirstSeq), r.LastSeq)
}

// command is a decoded raft entry. Slices alias the entry's data.
type command struct {
	kind   commandKind
	time   int64
	write  Command         // kindWrite
	found  Findings        // kindWrite
	first  uint64          // kindSeal
	desc   tlog.Descriptor // kindRecord
	check  RootCheck       // kindCheck
	merge  manifest.Range  // kindMerge
	tiered tiered          // kindTiered
}

// decodeCommand parses what the encoders above made. It checks every limit, so that a command that decodes applies. It
// allocates no more than a small multiple of len(data).
func decodeCommand(data []byte) (command, error) {
	var c command
	if err := c.decode(data); err != nil {
		return command{}, err
	}
	return c, nil
}

// maxOpRoom bounds for how many ops a command that is used again keeps room.
const maxOpRoom = 1024

// forget lets go of what a decoded command aliases, and keeps room for the ops of the next one.
func (c *command) forget() {
	clear(c.write.Ops)
	if cap(c.write.Ops) > maxOpRoom {
		c.write.Ops = nil
	}
}

// decode is decodeCommand into a command that is empty or forgotten.
func (c *command) decode(data []byte) error {
	room := c.write.Ops[:0]
	d := decoder{b: data}
	*c = command{kind: commandKind(d.u8()), time: int64(d.u64())}
	c.write.Ops = room
	switch c.kind {
	case kindWrite:
		d.write(&c.write)
		c.found = d.findings(c.write.Ops)
	case kindSeal:
		c.first = d.u64()
	case kindRecord:
		desc, err := tlog.ParseDescriptor(d.b)
		if err != nil {
			return fmt.Errorf("%w: %w", errCommand, err)
		}
		c.desc, d.b = desc, nil
	case kindCheck:
		c.check.Size, c.check.Root = d.u64(), d.hash()
	case kindMerge:
		c.merge = manifest.Range{FirstSeq: d.u64(), LastSeq: d.u64()}
	case kindTiered:
		c.tiered = d.tiered()
	default:
		return fmt.Errorf("%w: kind %d", errCommand, c.kind)
	}
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("%w: kind %d, %d bytes", errCommand, c.kind, len(data))
	}
	for i := range c.write.Ops {
		if err := checkOp(&c.write.Ops[i]); err != nil {
			return fmt.Errorf("%w: op %d: %w", errCommand, i, err)
		}
	}
	if c.time < 0 {
		return fmt.Errorf("%w: time is negative", errCommand)
	}
	return nil
}

// decoder takes fields off the front of b. After a field that is not there bad is set and all further fields are zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) u8() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) hash() (h merkle.Hash) {
	copy(h[:], d.take(merkle.HashSize))
	return h
}

func (d *decoder) write(w *Command) {
	if n := d.u8(); n > 0 {
		if n > MaxIdempotencyBytes {
			d.bad = true
			return
		}
		w.IdempotencyKey = string(d.take(uint64(n)))
		w.RequestHash = d.hash()
	}
	w.Principal = string(d.take(uint64(d.u8())))
	n := d.uvarint()
	// An op has at least six bytes, so the count cannot promise more than the input holds.
	if d.bad || n == 0 || n > MaxBatchOps || n > uint64(len(d.b))/6+1 {
		d.bad = true
		return
	}
	if n > uint64(cap(w.Ops)) {
		w.Ops = make([]WriteOp, n)
	}
	w.Ops = w.Ops[:n]
	for i := range w.Ops {
		d.op(&w.Ops[i])
	}
}

func (d *decoder) op(op *WriteOp) {
	op.Op = tlog.Op(d.u8())
	op.Key = d.take(d.uvarint())
	op.ContentType = string(d.take(uint64(d.u8())))
	conditions := d.u8()
	if d.bad || conditions > maxConditions {
		d.bad = true
		return
	}
	if conditions > 0 {
		op.Conditions = make([]Condition, conditions)
	}
	for i := range op.Conditions {
		d.condition(&op.Conditions[i])
	}
	op.Value = d.take(d.uvarint())
}

func (d *decoder) condition(c *Condition) {
	c.Kind = ConditionKind(d.u8())
	star := d.u8()
	n := d.uvarint()
	if d.bad || star > 1 || n > maxConditionSeqs || n > uint64(len(d.b))/8 {
		d.bad = true
		return
	}
	c.Any = star == 1
	if n > 0 {
		c.Seqs = make([]uint64, n)
	}
	for i := range c.Seqs {
		c.Seqs[i] = d.u64()
	}
}
