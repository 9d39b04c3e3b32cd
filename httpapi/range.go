package httpapi

import (
	"bytes"
	"net/http"

	"github.com/scribe-ledger/scribe/ledger"
)

// scan answers /v1/range.
func (c *call) scan() error {
	q, err := parseQuery(c.rawQuery())
	if err != nil {
		return err
	}
	p, err := c.pageOf(&q, "keys_only")
	if err != nil {
		return err
	}
	opts := ledger.ScanOptions{KeysOnly: !p.values, Leaves: true}
	if opts.Start, opts.End, err = q.bounds(); err != nil {
		return err
	}
	if opts.Reverse, err = q.flag("reverse"); err != nil {
		return err
	}
	pin, err := q.pin()
	if err != nil {
		return err
	}
	position := cursor{reverse: opts.Reverse, bounds: boundsHash(opts.Start, opts.End)}
	token, resumed, err := q.get("cursor")
	if err != nil {
		return err
	}
	resumed = resumed && token != ""
	var from cursor
	if resumed {
		if from, err = decodeCursor(token); err != nil {
			return err
		}
	}
	if err := c.barrier(&q); err != nil {
		return err
	}
	size, wanted, err := pin.resolve(c.api.backend)
	if err != nil {
		return err
	}
	if resumed {
		if err := from.belongs(&position, &pin, wanted); err != nil {
			return err
		}
		if from.pinned >= c.api.backend.NextSeq() {
			return &problem{status: http.StatusServiceUnavailable, code: codeNotReady,
				detail: "this node has not applied the entry that the cursor is pinned at"}
		}
		position.pinned, position.clamped = from.pinned, from.clamped
		if opts.Reverse {
			opts.End = from.last
		} else {
			opts.Start = append(bytes.Clone(from.last), 0) // the least key above it
		}
	} else {
		if size == 0 {
			return c.list(none{}, p)
		}
		position.pinned, position.clamped = size-1, pin.bySeq && wanted > size-1
	}
	if opts.End != nil && bytes.Compare(opts.Start, opts.End) >= 0 {
		return c.list(none{}, p)
	}
	opts.AsOf = position.pinned
	p.next = func(lastKey []byte, _ uint64) string {
		position.last = lastKey
		return position.encode()
	}
	it, err := c.api.backend.Scan(opts)
	if err != nil {
		return err
	}
	return c.list(it, p)
}

// bounds returns the key range of a query: the keys in [start, end) that begin with prefix. A nil end is no bound.
func (q *query) bounds() (start, end []byte, err error) {
	prefix, _, err := q.get("prefix")
	if err != nil {
		return nil, nil, err
	}
	from, _, err := q.get("start")
	if err != nil {
		return nil, nil, err
	}
	to, _, err := q.get("end")
	if err != nil {
		return nil, nil, err
	}
	start, end = []byte(max(prefix, from)), prefixEnd(prefix)
	// An empty end is no bound, as an empty field of a form is no wish.
	if to != "" && (end == nil || to < string(end)) {
		end = []byte(to)
	}
	return start, end, nil
}

// prefixEnd returns the least key above all that begin with prefix; nil when there is none.
func prefixEnd(prefix string) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := []byte(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

// pin is the moment at which a query wants the ledger: now, as of a seq, or as of a time.
type pin struct {
	bySeq, byTime bool
	seq           uint64
	micros        int64
}

func (q *query) pin() (pin, error) {
	var p pin
	var err error
	if p.seq, p.bySeq, err = q.number("as_of_seq"); err != nil {
		return p, err
	}
	if p.micros, p.byTime, err = q.time("as_of_time"); err != nil {
		return p, err
	}
	if p.bySeq && p.byTime {
		return p, badRequest("only one of as_of_seq and as_of_time can pin the scan")
	}
	return p, nil
}

// resolve returns how many entries of the ledger the scan sees, and the last seq that was wished for, which may lie
// beyond the end.
func (p *pin) resolve(r Reader) (size, wanted uint64, err error) {
	size = r.NextSeq()
	switch {
	case p.bySeq:
		if p.seq < size {
			size = p.seq + 1
		}
		return size, p.seq, nil
	case p.byTime:
		n, err := r.SeqAtTime(p.micros)
		size = min(size, n)
		return size, size - min(size, 1), err
	}
	return size, size - min(size, 1), nil
}

// belongs says whether a cursor was handed out for this query. A moment that the query repeats must be the pinned one;
// one that reached beyond the ledger's end when the scan began was pinned to the end.
func (k *cursor) belongs(query *cursor, p *pin, wanted uint64) error {
	ok := k.reverse == query.reverse && k.bounds == query.bounds
	switch {
	case p.bySeq && k.clamped:
		ok = ok && wanted > k.pinned
	case p.bySeq:
		ok = ok && wanted == k.pinned
	case p.byTime:
		ok = ok && wanted >= k.pinned
	}
	if !ok {
		return badRequest("the cursor belongs to another query; repeat the query that it came from")
	}
	return nil
}

// none is a list with nothing in it.
type none struct{}

func (none) Next() bool           { return false }
func (none) Entry() *ledger.Entry { return nil }
func (none) Err() error           { return nil }
func (none) Close() error         { return nil }
