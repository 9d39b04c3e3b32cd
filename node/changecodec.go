package node

import (
	"encoding/binary"
	"errors"

	"github.com/scribe-ledger/scribe/raft"
)

// A change on its way to the leader:
//
//	kind u8 = 5 · life u64 and id u64 of the asking · op u8 · node u64 · learner u8 · raft address text · HTTP address text
//
// What is asked for is a state of the cluster, so that asking twice does no harm.
func (c *change) encode(life uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(requestChange)}, life)
	b = binary.BigEndian.AppendUint64(b, c.number)
	b = binary.BigEndian.AppendUint64(append(b, byte(c.op)), c.id)
	b = appendText(appendBool(b, c.learner), c.raftAddr, raft.MaxAddrBytes)
	return appendText(b, c.httpAddr, raft.MaxAddrBytes)
}

func parseChange(b []byte) (life uint64, c *change, err error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	life = r.u64()
	c = &change{number: r.u64(), op: changeOp(r.u8()), id: r.u64(), learner: r.boolean(),
		raftAddr: r.text(raft.MaxAddrBytes), httpAddr: r.text(raft.MaxAddrBytes)}
	r.bad = r.bad || kind != requestChange || c.op < changeJoin || c.op > changeTransfer ||
		(c.id == 0 && c.op != changeTransfer) || (c.op == changeJoin && c.raftAddr == "")
	return life, c, r.end(requestChange)
}

// changed is what became of a change:
//
//	kind u8 = 6 · life u64 and id u64 of the asking · code u8 · by code:
//	  done:        length u32 · membership (raft.AppendMembership)
//	  refused:     problem u8 · reason text
//	  unavailable: reason and detail as text
//	  elsewhere:   nothing (another leader may do it)
type changed struct {
	life    uint64
	number  uint64
	members raft.Membership // when done
	err     error           // *MemberError, *Unavailable, errElsewhere
}

const (
	changeDone        = 1
	changeRefused     = 2
	changeUnavailable = 3
	changeElsewhere   = 4
)

func (c *changed) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(requestChanged)}, c.life)
	b = binary.BigEndian.AppendUint64(b, c.number)
	var refused *MemberError
	var unavailable *Unavailable
	switch {
	case c.err == nil:
		members := raft.AppendMembership(nil, c.members)
		b = binary.BigEndian.AppendUint32(append(b, changeDone), uint32(len(members)))
		return append(b, members...)
	case errors.As(c.err, &refused):
		return appendText(append(b, changeRefused, byte(refused.Problem)), refused.Reason, maxDetailBytes)
	case errors.As(c.err, &unavailable):
		b = appendText(append(b, changeUnavailable), string(unavailable.Reason), maxReasonBytes)
		return appendText(b, unavailable.Detail, maxDetailBytes)
	}
	return append(b, changeElsewhere)
}

func parseChanged(b []byte) (*changed, error) {
	r := reader{b: b}
	kind := requestKind(r.u8())
	c := &changed{life: r.u64(), number: r.u64()}
	switch r.u8() {
	case changeDone:
		members, err := raft.ParseMembership(r.take(uint64(r.u32())))
		r.bad = r.bad || err != nil
		c.members = members
	case changeRefused:
		e := &MemberError{Problem: MemberProblem(r.u8()), Reason: r.text(maxDetailBytes)}
		r.bad = r.bad || e.Problem < MemberInvalid || e.Problem > MemberConflict
		c.err = e
	case changeUnavailable:
		c.err = takeUnavailable(&r)
	case changeElsewhere:
		c.err = errElsewhere
	default:
		r.bad = true
	}
	r.bad = r.bad || kind != requestChanged
	return c, r.end(requestChanged)
}
