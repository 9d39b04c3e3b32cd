package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Code is an error code of the contract.
type Code string

// The codes that a caller may want to tell apart. The server has more.
const (
	CodeBadRequest          Code = "bad_request"
	CodeKeyNotFound         Code = "key_not_found"
	CodeVersionNotFound     Code = "version_not_found"
	CodePreconditionFailed  Code = "precondition_failed"
	CodeIdempotencyMismatch Code = "idempotency_mismatch"
	CodeOverloaded          Code = "overloaded"
	CodeNoLeader            Code = "no_leader"
	CodeNotReady            Code = "not_ready"
	CodeRateLimited         Code = "rate_limited"
	CodeOutcomeUnknown      Code = "outcome_unknown"
	CodeColdUnavailable     Code = "cold_unavailable"
	CodeNoColdTier          Code = "no_cold_tier"
	CodeCorrupt             Code = "corrupt"
	CodeDiskFull            Code = "disk_full"
)

// Error is an answer that says no: application/problem+json (RFC 9457), or whatever a proxy on the way made of it.
type Error struct {
	Endpoint   string
	Status     int
	Code       Code // empty when the answer was not the ledger's
	Title      string
	Detail     string
	RequestID  string
	Seq        uint64 // the version in the way: of a failed precondition, or the tombstone of a deleted key
	HasSeq     bool
	OpIndex    int // the op of a batch that failed
	HasOpIndex bool

	retryAfter time.Duration
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s answered %d", e.Endpoint, e.Status)
	if e.Code != "" {
		b.WriteString(" " + string(e.Code))
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	} else if e.Title != "" {
		b.WriteString(": " + e.Title)
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// notApplied says whether the answer rules out that the write was applied.
func (e *Error) notApplied() bool {
	switch e.Code {
	case "", CodeOutcomeUnknown, "internal":
		return false
	}
	return true
}

// IsCode says whether err is, or wraps, an *Error with one of the codes.
func IsCode(err error, codes ...Code) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

// OutcomeUnknownError says that a write may or may not have been applied. Repeating it with the same IdempotencyKey is
// safe: it will be applied once at most.
type OutcomeUnknownError struct {
	IdempotencyKey string
	Err            error // what the last attempt met
}

func (e *OutcomeUnknownError) Error() string {
	return fmt.Sprintf("the write may or may not have been applied; repeat it with Idempotency-Key %s: %v",
		e.IdempotencyKey, e.Err)
}

func (e *OutcomeUnknownError) Unwrap() error { return e.Err }

// ProtocolError is an answer that breaks the contract: no server of this version sends it.
type ProtocolError struct {
	Path    string
	Problem string
}

func (e *ProtocolError) Error() string { return "the answer to " + e.Path + " is wrong: " + e.Problem }

// maxProblemText bounds what is taken over from a foreign body into an error's text.
const maxProblemText = 1000

// problemOf makes the Error of an answer.
func problemOf(a *answer) *Error {
	e := &Error{Endpoint: a.endpoint, Status: a.status, RequestID: a.header.Get("X-Request-ID")}
	var p struct {
		Title     string `json:"title"`
		Detail    string `json:"detail"`
		Code      Code   `json:"code"`
		RequestID string `json:"request_id"`
		OpIndex   *int   `json:"op_index"`
	}
	isProblem := strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json")
	if isProblem && json.Unmarshal(a.body, &p) == nil {
		e.Code, e.Title, e.Detail = Code(printable(string(p.Code))), printable(p.Title), printable(p.Detail)
		if p.RequestID != "" {
			e.RequestID = p.RequestID
		}
		if p.OpIndex != nil {
			e.OpIndex, e.HasOpIndex = *p.OpIndex, true
		}
	} else {
		e.Title = http.StatusText(a.status)
		e.Detail = printable(string(a.body[:min(len(a.body), maxProblemText)]))
	}
	e.RequestID = printable(e.RequestID)
	tag := a.header.Get("X-Scribe-Seq")
	if tag == "" {
		tag = strings.Trim(a.header.Get("ETag"), `"`)
	}
	if seq, err := strconv.ParseUint(tag, 10, 64); err == nil {
		e.Seq, e.HasSeq = seq, true
	}
	if s, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && s > 0 && s < 1<<20 {
		e.retryAfter = time.Duration(s) * time.Second
	}
	return e
}

// printable is s on one line, without what a terminal would act on.
func printable(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s[:min(len(s), maxProblemText)])
}
