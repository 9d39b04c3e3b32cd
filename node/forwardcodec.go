package node

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/raft"
)

// forward is a batch of writes on its way to the leader of a term. Its encoding:
//
//	kind u8 = 1 · term u64 · life u64 · id u64 · count u32 · commands
//	command: remaining milliseconds u32 (0: no deadline) · length u32 · command as ledger.EncodeWrite made it
type forward struct {
	term     uint64 // of the leader that is to propose it; no other may
	life     uint64 // tells the sender's process from its earlier ones
	id       uint64 // counts the sender's forwards in this life, from 1
	commands []forwardedCommand
}

type forwardedCommand struct {
	remaining uint32
	data      []byte
}

const forwardHeader = 1 + 8 + 8 + 8 + 4

func (f *forward) encode() []byte {
	size := forwardHeader
	for i := range f.commands {
		size += 8 + len(f.commands[i].data)
	}
	b := make([]byte, 0, size)
	b = append(b, byte(requestForward))
	for _, v := range [...]uint64{f.term, f.life, f.id} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.commands)))
	for i := range f.commands {
		c := &f.commands[i]
		b = binary.BigEndian.AppendUint32(b, c.remaining)
		b = binary.BigEndian.AppendUint32(b, uint32(len(c.data)))
		b = append(b, c.data...)
	}
	return b
}

// parseForward reads what encode made, kind included. Commands are slices of b.
func parseForward(b []byte) (*forward, error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	f := &forward{term: r.u64(), life: r.u64(), id: r.u64()}
	f.commands = make([]forwardedCommand, r.count(8, maxBatchProposals))
	for i := range f.commands {
		c := &f.commands[i]
		c.remaining = r.u32()
		n := r.u32()
		if n > raft.MaxEntryBytes {
			r.bad = true
		}
		c.data = r.take(uint64(n))
	}
	r.bad = r.bad || kind != requestForward
	return f, r.end(requestForward)
}

// An answer says what became of one forwarded command. Encoding of a batch of them, all for one life of a node:
//
//	kind u8 = 2 · life u64 · count u32 · answers
//	answer: id u64 and ordinal u32 of the command · code u8 · by code:
//	  committed:    first seq u64 · count u64 · time u64 · leaf hash 32 · replayed u8
//	  not found:    op u32 · seq u64 · tombstone u8
//	  precondition: op u32 · seq u64 · exists u8
//	  mismatch:     nothing (the idempotency key was used for another request)
//	  unavailable:  reason and detail as text
//	  elsewhere:    nothing (not applied, and it may be proposed by another leader)
type answer struct {
	id      uint64
	ordinal uint32
	outcome outcome
}

type outcomeCode uint8

const (
	codeCommitted    outcomeCode = 1
	codeNotFound     outcomeCode = 2
	codePrecondition outcomeCode = 3
	codeMismatch     outcomeCode = 4
	codeUnavailable  outcomeCode = 5
	codeElsewhere    outcomeCode = 6
)

const (
	answerHeader   = 8 + 4 + 1
	maxDetailBytes = 512
	maxReasonBytes = 32
	// maxAnswers bounds the answers in one request.
	maxAnswers = 4096
)

// errElsewhere is the outcome of a write that was not applied and that another leader may take.
var errElsewhere = errors.New("node: not applied, and another leader may take it")

func encodeAnswers(life uint64, answers []answer) []byte {
	b := append(make([]byte, 0, 13+len(answers)*(answerHeader+57)), byte(requestAnswers))
	b = binary.BigEndian.AppendUint64(b, life)
	b = binary.BigEndian.AppendUint32(b, uint32(len(answers)))
	for i := range answers {
		b = answers[i].append(b)
	}
	return b
}

func (a *answer) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, a.id)
	b = binary.BigEndian.AppendUint32(b, a.ordinal)
	appendOp := func(code outcomeCode, op int, seq uint64, flag bool) []byte {
		b = append(b, byte(code))
		b = binary.BigEndian.AppendUint32(b, uint32(op))
		b = binary.BigEndian.AppendUint64(b, seq)
		return appendBool(b, flag)
	}
	unavailable := func(u *Unavailable) []byte {
		b = appendText(append(b, byte(codeUnavailable)), string(u.Reason), maxReasonBytes)
		return appendText(b, u.Detail, maxDetailBytes)
	}
	err := a.outcome.err
	if err == nil {
		err = a.outcome.result.Err
	}
	var absent *ledger.NotFoundError
	var failed *ledger.PreconditionError
	var refusal *Unavailable
	switch {
	case err == nil:
		rec := &a.outcome.result.Receipt
		b = append(b, byte(codeCommitted))
		for _, v := range [...]uint64{rec.FirstSeq, rec.Count, uint64(rec.Time)} {
			b = binary.BigEndian.AppendUint64(b, v)
		}
		b = append(b, rec.LeafHash[:]...)
		return appendBool(b, rec.Replayed)
	case errors.Is(err, errElsewhere):
		return append(b, byte(codeElsewhere))
	case errors.Is(err, ledger.ErrIdempotencyMismatch):
		return append(b, byte(codeMismatch))
	case errors.As(err, &absent):
		return appendOp(codeNotFound, absent.OpIndex, absent.Seq, absent.Tombstone)
	case errors.As(err, &failed):
		return appendOp(codePrecondition, failed.OpIndex, failed.Seq, failed.Exists)
	case errors.As(err, &refusal):
		return unavailable(refusal)
	}
	// It was applied, and nothing more can be said of it here.
	return unavailable(&Unavailable{Reason: OutcomeUnknown, Detail: err.Error()})
}

// parseAnswers reads what encodeAnswers made, kind included.
func parseAnswers(b []byte) (life uint64, answers []answer, err error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	life = r.u64()
	answers = make([]answer, r.count(answerHeader, maxAnswers))
	for i := range answers {
		answers[i].take(&r)
	}
	r.bad = r.bad || kind != requestAnswers
	return life, answers, r.end(requestAnswers)
}

func (a *answer) take(r *reader) {
	a.id, a.ordinal = r.u64(), r.u32()
	switch outcomeCode(r.u8()) {
	case codeCommitted:
		rec := &a.outcome.result.Receipt
		rec.FirstSeq, rec.Count, rec.Time = r.u64(), r.u64(), int64(r.u64())
		copy(rec.LeafHash[:], r.take(merkle.HashSize))
		rec.Replayed = r.boolean()
	case codeNotFound:
		e := &ledger.NotFoundError{OpIndex: int(r.u32()), Seq: r.u64()}
		e.Tombstone = r.boolean()
		a.outcome.result.Err = e
	case codePrecondition:
		e := &ledger.PreconditionError{OpIndex: int(r.u32()), Seq: r.u64()}
		e.Exists = r.boolean()
		a.outcome.result.Err = e
	case codeMismatch:
		a.outcome.result.Err = ledger.ErrIdempotencyMismatch
	case codeUnavailable:
		a.outcome.err = takeUnavailable(r)
	case codeElsewhere:
		a.outcome.err = errElsewhere
	default:
		r.bad = true
	}
}

// takeUnavailable takes a reason and a detail.
func takeUnavailable(r *reader) *Unavailable {
	u := &Unavailable{Reason: Reason(r.text(maxReasonBytes)), Detail: r.text(maxDetailBytes)}
	switch u.Reason {
	case Overloaded, NoLeader, NotReady, OutcomeUnknown, DiskFull:
		return u
	}
	return &Unavailable{Reason: OutcomeUnknown, Detail: fmt.Sprintf("%s: %s", u.Reason, u.Detail)} // of a later version
}
