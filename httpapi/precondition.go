package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
)

// etags is a parsed If-Match or If-None-Match field (RFC 9110 §13.1.1, §13.1.2).
type etags struct {
	present bool
	any     bool // "*"
	tags    []etag
}

// etag is an entity tag that could be one of ours: the decimal seq of a version. Others are well-formed, match nothing,
// and are dropped.
type etag struct {
	seq  uint64
	weak bool
}

// parseETags reads a field, which may stand on several lines. A field that is no list of entity tags is refused: a
// client that asks for a condition must not have it ignored.
func parseETags(h http.Header, name string) (etags, error) {
	lines := h[name]
	if len(lines) == 0 {
		return etags{}, nil
	}
	t := etags{present: true}
	rest := strings.Join(lines, ",")
	if strings.Trim(rest, " \t") == "*" {
		t.any = true
		return t, nil
	}
	bad := badRequest(name + ` is "*" or a list of entity tags such as "12"`)
	found := false
	for {
		// RFC 9110 §5.6.1.2: empty list elements are passed over.
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			if !found {
				return etags{}, bad
			}
			return t, nil
		}
		tag, weak := strings.CutPrefix(rest, "W/")
		if tag == "" || tag[0] != '"' {
			return etags{}, bad
		}
		end := strings.IndexByte(tag[1:], '"')
		if end < 0 {
			return etags{}, bad
		}
		opaque := tag[1 : 1+end]
		for i := 0; i < len(opaque); i++ {
			if opaque[i] <= 0x20 || opaque[i] == 0x7f {
				return etags{}, bad
			}
		}
		rest = strings.TrimLeft(tag[end+2:], " \t")
		if rest != "" && rest[0] != ',' {
			return etags{}, bad
		}
		found = true
		if seq, err := strconv.ParseUint(opaque, 10, 64); err == nil && strconv.FormatUint(seq, 10) == opaque {
			t.tags = append(t.tags, etag{seq: seq, weak: weak})
		}
	}
}

// matchStrong is the comparison of If-Match: a weak tag never matches (RFC 9110 §8.8.3.2).
func (t *etags) matchStrong(seq uint64) bool {
	for _, tag := range t.tags {
		if tag.seq == seq && !tag.weak {
			return true
		}
	}
	return t.any
}

// matchWeak is the comparison of If-None-Match.
func (t *etags) matchWeak(seq uint64) bool {
	for _, tag := range t.tags {
		if tag.seq == seq {
			return true
		}
	}
	return t.any
}

// conditions turns a write's preconditions into those of its command.
func (c *call) conditions() ([]ledger.Condition, error) {
	h := c.r.Header
	if len(h["If-Match"]) == 0 && len(h["If-None-Match"]) == 0 {
		if len(h["If-Unmodified-Since"]) > 0 {
			return nil, badRequest("If-Unmodified-Since is too coarse to guard a write; use If-Match")
		}
		return nil, nil
	}
	match, err := parseETags(h, "If-Match")
	if err != nil {
		return nil, err
	}
	noneMatch, err := parseETags(h, "If-None-Match")
	if err != nil {
		return nil, err
	}
	var conds []ledger.Condition
	if match.present {
		cond := ledger.Condition{Kind: ledger.IfMatch, Any: match.any}
		for _, tag := range match.tags {
			if !tag.weak {
				cond.Seqs = append(cond.Seqs, tag.seq)
			}
		}
		conds = append(conds, cond)
	}
	if noneMatch.present {
		cond := ledger.Condition{Kind: ledger.IfNoneMatch, Any: noneMatch.any}
		for _, tag := range noneMatch.tags {
			cond.Seqs = append(cond.Seqs, tag.seq)
		}
		conds = append(conds, cond)
	}
	return conds, nil
}

// evaluate judges a read's preconditions against the version that was picked, in the order of RFC 9110 §13.2.2.
// notModified says that the answer is 304.
func evaluate(h http.Header, e *ledger.Entry) (notModified bool, err error) {
	match, err := parseETags(h, "If-Match")
	if err != nil {
		return false, err
	}
	noneMatch, err := parseETags(h, "If-None-Match")
	if err != nil {
		return false, err
	}
	modified := e.Time / int64(time.Second/time.Microsecond) // in seconds, as Last-Modified says it
	failed := &problem{status: http.StatusPreconditionFailed, code: codePrecondition, hasSeq: true, seq: e.Seq,
		detail: "the version read is " + strconv.FormatUint(e.Seq, 10)}
	if match.present {
		if !match.matchStrong(e.Seq) {
			return false, failed
		}
	} else if t, ok := httpDate(h, "If-Unmodified-Since"); ok && modified > t {
		return false, failed
	}
	if noneMatch.present {
		return noneMatch.matchWeak(e.Seq), nil
	}
	if t, ok := httpDate(h, "If-Modified-Since"); ok {
		return modified <= t, nil
	}
	return false, nil
}

// conditional says that evaluate has something to judge.
func conditional(h http.Header) bool {
	return len(h["If-Match"]) > 0 || len(h["If-None-Match"]) > 0 ||
		len(h["If-Modified-Since"]) > 0 || len(h["If-Unmodified-Since"]) > 0
}

// httpDate returns a date field in seconds since the epoch; one that is no date is ignored (RFC 9110 §13.1.3).
func httpDate(h http.Header, name string) (seconds int64, ok bool) {
	v := h[name]
	if len(v) != 1 {
		return 0, false
	}
	t, err := http.ParseTime(v[0])
	return t.Unix(), err == nil
}
