package httpapi

import (
	"math"
	"strconv"

	"github.com/scribe-ledger/scribe/ledger"
)

// history answers /v1/history/<key>. Its cursor is the seq of the last version shown, in decimal, and works as
// ?cursor= beside the first query or as ?before= alone.
func (c *call) history() error {
	// Not c.readKey: that scratch space is what list keeps the last key in, while the iterator may look at this one.
	key, err := decodeKey(nil, c.rawKey, ledger.MaxKeyBytes)
	if err != nil {
		return err
	}
	q, err := parseQuery(c.rawQuery())
	if err != nil {
		return err
	}
	p, err := c.pageOf(&q, "")
	if err != nil {
		return err
	}
	before, ok, err := q.number("before")
	if err != nil {
		return err
	}
	if !ok {
		before = math.MaxUint64
	}
	at, resumed, err := q.number("cursor")
	if err != nil {
		return err
	}
	if resumed {
		if at > before {
			return badRequest("the cursor belongs to another query")
		}
		before = at
	}
	if err := c.barrier(&q); err != nil {
		return err
	}
	exists, err := c.api.backend.Exists(key)
	if err != nil {
		return err
	}
	if !exists {
		return &ledger.NotFoundError{}
	}
	it, err := c.api.backend.History(key, before, p.values)
	if err != nil {
		return err
	}
	p.next = func(_ []byte, lastSeq uint64) string { return strconv.FormatUint(lastSeq, 10) }
	return c.list(it, p)
}

// entries answers /v1/entries. Its cursor is the seq that comes next, in decimal, and works as ?cursor= beside the
// first query or as ?from= alone.
func (c *call) entries() error {
	q, err := parseQuery(c.rawQuery())
	if err != nil {
		return err
	}
	p, err := c.pageOf(&q, "keys_only")
	if err != nil {
		return err
	}
	from, _, err := q.number("from")
	if err != nil {
		return err
	}
	at, resumed, err := q.number("cursor")
	if err != nil {
		return err
	}
	if resumed {
		if at < from {
			return badRequest("the cursor belongs to another query")
		}
		from = at
	}
	if err := c.barrier(&q); err != nil {
		return err
	}
	if from >= c.api.backend.NextSeq() {
		return c.list(none{}, p)
	}
	it, err := c.api.backend.Entries(from, !p.values)
	if err != nil {
		return err
	}
	p.next = func(_ []byte, lastSeq uint64) string { return strconv.FormatUint(lastSeq+1, 10) }
	return c.list(it, p)
}
