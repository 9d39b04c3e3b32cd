package httpapi

import (
	"encoding/base64"
	"net/http"
	"unicode/utf8"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
)

const (
	// streamPiece is what an NDJSON stream gathers before it writes.
	streamPiece = 64 << 10
	// valuePiece is how much of a value is encoded at a time; a multiple of 3, so that base64 pieces join.
	valuePiece = 48 << 10
	// entryOverhead is about what an entry takes in JSON beside its key and value.
	entryOverhead = 320
	// holdStep is how a page draws on the budget as it grows.
	holdStep = 256 << 10
)

// page is what a list route asks of list.
type page struct {
	limit  int  // most entries; 0 is no limit, for NDJSON only
	values bool // write values
	ndjson bool
	// next makes the cursor of the page that begins behind the entry with this key and seq.
	next func(lastKey []byte, lastSeq uint64) string
}

// pageOf reads what all lists have in common. keysParam is the flag that leaves values out, or "" where the flag
// "values" asks for them instead.
func (c *call) pageOf(q *query, keysParam string) (page, error) {
	p := page{ndjson: prefers(c.r.Header, "application/x-ndjson")}
	var err error
	if p.limit, err = q.limit(); err != nil {
		return p, err
	}
	if !p.ndjson {
		if p.limit == 0 {
			p.limit = defaultLimit
		}
		p.limit = min(p.limit, maxLimit)
	}
	if keysParam == "" {
		p.values, err = q.flag("values")
		return p, err
	}
	keysOnly, err := q.flag(keysParam)
	p.values = !keysOnly
	return p, err
}

// list answers with the iterator's entries and closes it. A JSON page is made whole before its first byte goes out, so
// that damage met on the way is a 500; only an entry that fills a page by itself is streamed. NDJSON goes out in
// pieces, whatever its length, and is cut off by an error.
func (c *call) list(it ledger.Iterator, p page) error {
	defer it.Close()
	w := listWriter{c: c, ndjson: p.ndjson, spillAt: c.api.opt.MaxPageBytes + smallBytes, buf: c.out[:0]}
	if p.ndjson {
		w.spillAt = streamPiece
		if c.r.Method == http.MethodHead {
			return w.spill() // the headers; the body would be walked for nothing
		}
	} else {
		w.buf = append(w.buf, `{"entries":[`...)
	}
	more := false
	var lastSeq uint64
	for n := 0; ; n++ {
		if !it.Next() {
			break
		}
		e := it.Entry()
		if p.limit > 0 && n == p.limit || !p.ndjson && n > 0 && w.full(e, p.values) {
			more = true
			break
		}
		if err := w.add(e, p.values, n); err != nil {
			return err
		}
		// The entry is gone with the next step, so what the cursor needs of it is kept.
		c.key, lastSeq = append(c.key[:0], e.Key...), e.Seq
		if n%1024 == 0 && c.r.Context().Err() != nil {
			return c.r.Context().Err()
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	next := ""
	if more {
		next = p.next(c.key, lastSeq)
	}
	return w.close(next)
}

// listWriter encodes entries into a buffer, and sends the buffer when it is longer than spillAt.
type listWriter struct {
	c       *call
	buf     []byte
	ndjson  bool
	spillAt int
	paid    int  // bytes of buf that the budget was charged for
	sent    bool // the headers are out
}

// full says that a page is long enough without e.
func (w *listWriter) full(e *ledger.Entry, values bool) bool {
	return len(w.buf)+encodedLen(e, values) > w.c.api.opt.MaxPageBytes
}

func encodedLen(e *ledger.Entry, values bool) int {
	n := entryOverhead + len(e.Key) + len(e.ContentType)
	if values {
		n += base64.StdEncoding.EncodedLen(len(e.Value))
	}
	return n
}

// add encodes one entry.
func (w *listWriter) add(e *ledger.Entry, values bool, n int) error {
	need := min(len(w.buf)+encodedLen(e, values), w.spillAt)
	if need > smallBytes && need > w.paid {
		step := (need - w.paid + holdStep - 1) / holdStep * holdStep
		if err := w.c.hold(int64(step)); err != nil {
			return err
		}
		w.paid += step
	}
	if large := int64(len(e.Value)); w.ndjson && large > smallBytes {
		if err := w.c.hold(large); err != nil {
			return err
		}
		defer w.c.unhold(large)
	}
	if n > 0 && !w.ndjson {
		w.buf = append(w.buf, ',')
	}
	w.buf = appendEntryHead(w.buf, e)
	if values && e.Op != tlog.OpDelete {
		if err := w.value(e.Value); err != nil {
			return err
		}
	}
	w.buf = appendEntryTail(w.buf, e)
	if w.ndjson {
		w.buf = append(w.buf, '\n')
	}
	return w.spillIfLong()
}

// value encodes a value in pieces, so that a large one never stands whole in the buffer.
func (w *listWriter) value(v []byte) error {
	text := utf8.Valid(v)
	if text {
		w.buf = append(w.buf, `,"value":"`...)
	} else {
		w.buf = append(w.buf, `,"value_b64":"`...)
	}
	for len(v) > 0 {
		piece := v[:min(len(v), valuePiece)]
		if text {
			w.buf = appendEscaped(w.buf, piece)
		} else {
			w.buf = base64.StdEncoding.AppendEncode(w.buf, piece)
		}
		v = v[len(piece):]
		if err := w.spillIfLong(); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, '"')
	return nil
}

func (w *listWriter) spillIfLong() error {
	if len(w.buf) <= w.spillAt {
		return nil
	}
	return w.spill()
}

// spill sends the buffer, behind the headers when it is the first time.
func (w *listWriter) spill() error {
	if !w.sent {
		w.sent = true
		w.c.head.add("Content-Type", w.contentType())
		w.c.begin(http.StatusOK)
	}
	_, err := w.c.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// close ends the list and sends what is left of it.
func (w *listWriter) close(next string) error {
	if !w.ndjson {
		w.buf = append(w.buf, ']')
		if next != "" {
			w.buf = append(w.buf, `,"next":`...)
			w.buf = appendString(w.buf, next)
		}
		w.buf = append(w.buf, "}\n"...)
	}
	w.c.out = w.buf // the space goes back to the pool with the call
	if w.sent {
		return w.spill()
	}
	w.c.head.add("Content-Type", w.contentType())
	w.c.send(http.StatusOK, w.buf)
	return nil
}

func (w *listWriter) contentType() string {
	if w.ndjson {
		return "application/x-ndjson"
	}
	return "application/json"
}
