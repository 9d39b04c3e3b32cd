package httpapi

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
)

// maxParams bounds the parameters of one query.
const maxParams = 64

// query is a parsed query string. Unlike url.ParseQuery it leaves "+" alone, refuses bad percent-encoding, and keeps
// the bytes of values as they are. Unknown parameters are ignored; one that is looked at and stands twice is refused.
type query struct {
	params []param
}

type param struct {
	name, value string
}

// parseQuery splits raw at "&" and decodes names and values.
func parseQuery(raw string) (query, error) {
	var q query
	for raw != "" {
		var piece string
		piece, raw, _ = strings.Cut(raw, "&")
		if piece == "" {
			continue
		}
		if len(q.params) == maxParams {
			return query{}, badRequest("more than " + strconv.Itoa(maxParams) + " query parameters")
		}
		rawName, rawValue, _ := strings.Cut(piece, "=")
		name, okName := unescape(nil, rawName)
		value, okValue := unescape(nil, rawValue)
		if !okName || !okValue {
			return query{}, badRequest("the query has a bad percent-encoding")
		}
		q.params = append(q.params, param{name: string(name), value: string(value)})
	}
	return q, nil
}

// get returns a parameter's value; ok is false when it is absent.
func (q *query) get(name string) (value string, ok bool, err error) {
	for i := range q.params {
		if q.params[i].name != name {
			continue
		}
		if ok {
			return "", false, badRequest("the query parameter " + name + " stands twice")
		}
		value, ok = q.params[i].value, true
	}
	return value, ok, nil
}

// number returns a seq or a tree size.
func (q *query) number(name string) (n uint64, ok bool, err error) {
	s, ok, err := q.get(name)
	if !ok || err != nil {
		return 0, false, err
	}
	n, err = strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, false, badRequest("the query parameter " + name + " is not a decimal number below 2^64")
	}
	return n, true, nil
}

// flag returns a parameter that is 1 or true, 0 or false, or absent, which is false.
func (q *query) flag(name string) (bool, error) {
	s, ok, err := q.get(name)
	if !ok || err != nil {
		return false, err
	}
	switch s {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, badRequest("the query parameter " + name + " is 1 or true, or left out")
}

// Limits of a page.
const (
	defaultLimit = 100
	maxLimit     = 10_000
)

// limit returns the page limit; 0 when it is absent.
func (q *query) limit() (int, error) {
	s, ok, err := q.get("limit")
	if !ok || err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		n, err = math.MaxUint64, nil
	}
	if err != nil || n == 0 {
		return 0, badRequest("limit is a decimal number from 1; more than " + strconv.Itoa(maxLimit) + " is cut to that")
	}
	return int(min(n, math.MaxInt)), nil
}

// selector returns which version of a key is asked for.
func (q *query) selector() (ledger.Selector, error) {
	if len(q.params) == 0 {
		return ledger.Selector{}, nil
	}
	var sel ledger.Selector
	seq, bySeq, err := q.number("seq")
	if err != nil {
		return sel, err
	}
	asOf, byAsOf, err := q.number("as_of_seq")
	if err != nil {
		return sel, err
	}
	at, byTime, err := q.time("as_of_time")
	if err != nil {
		return sel, err
	}
	given := 0
	if bySeq {
		sel = ledger.Selector{Kind: ledger.BySeq, Seq: seq}
		given++
	}
	if byAsOf {
		sel = ledger.Selector{Kind: ledger.AsOfSeq, Seq: asOf}
		given++
	}
	if byTime {
		sel = ledger.Selector{Kind: ledger.AsOfTime, Time: at}
		given++
	}
	if given > 1 {
		return sel, badRequest("only one of seq, as_of_seq and as_of_time can pick the version")
	}
	return sel, nil
}

// time returns a moment in microseconds since the epoch, rounded down: entry times are whole microseconds, so an entry
// is at or before the moment exactly when it is at or before the rounded one.
func (q *query) time(name string) (micros int64, ok bool, err error) {
	s, ok, err := q.get(name)
	if !ok || err != nil {
		return 0, false, err
	}
	t, valid := parseTime(strings.ToUpper(s))
	if !valid {
		return 0, false, badRequest(name + " is an RFC 3339 time such as 2026-11-22T10:00:00.000001Z")
	}
	return t.UnixMicro(), true, nil
}

// parseTime reads an RFC 3339 time in upper case. Package time judges the numbers; but it also takes hours of one
// digit, a comma for the point, any number of decimals and offsets of a hundred hours (https://go.dev/issue/54580), so
// the shape is checked here.
func parseTime(s string) (t time.Time, valid bool) {
	const shape = "0000-00-00T00:00:00"
	if len(s) < len(shape) || !shaped(s[:len(shape)], shape) {
		return t, false
	}
	zone := s[len(shape):]
	if strings.HasPrefix(zone, ".") {
		digits := 1
		for digits < len(zone) && '0' <= zone[digits] && zone[digits] <= '9' {
			digits++
		}
		if digits < 2 || digits > 10 {
			return t, false
		}
		zone = zone[digits:]
	}
	if zone != "Z" && (!shaped(zone, "+00:00") && !shaped(zone, "-00:00") || zone[1:3] > "23" || zone[4:] > "59") {
		return t, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

// shaped says that s is the shape with any digits in place of its zeros.
func shaped(s, shape string) bool {
	if len(s) != len(shape) {
		return false
	}
	for i := range len(s) {
		if shape[i] == '0' && (s[i] < '0' || s[i] > '9') || shape[i] != '0' && s[i] != shape[i] {
			return false
		}
	}
	return true
}

// consistency is how fresh a read must be.
type consistency struct {
	stale        bool
	maxStaleness time.Duration // valid when bounded
	bounded      bool
}

func (q *query) consistency() (consistency, error) {
	var c consistency
	if len(q.params) == 0 {
		return c, nil
	}
	level, ok, err := q.get("consistency")
	if err != nil {
		return c, err
	}
	if ok {
		switch level {
		case "linearizable":
		case "stale":
			c.stale = true
		default:
			return c, badRequest("consistency is linearizable or stale")
		}
	}
	s, ok, err := q.get("max_staleness")
	if !ok || err != nil {
		return c, err
	}
	if !c.stale {
		return c, badRequest("max_staleness goes with consistency=stale")
	}
	c.maxStaleness, err = time.ParseDuration(s)
	if err != nil || c.maxStaleness < 0 {
		return c, badRequest("max_staleness is a duration such as 5s or 250ms")
	}
	c.bounded = true
	return c, nil
}
