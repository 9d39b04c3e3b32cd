package httpapi

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/vfs"
)

// The codes of problem bodies. Clients match these, never titles or details.
const (
	codeBadRequest       = "bad_request"
	codeKeyEmpty         = "key_empty"
	codeKeyTooLong       = "key_too_long"
	codeKeyNotFound      = "key_not_found"
	codeVersionNotFound  = "version_not_found"
	codeNoRoute          = "no_route"
	codeMethodNotAllowed = "method_not_allowed"
	codeRequestTimeout   = "request_timeout"
	codePrecondition     = "precondition_failed"
	codeValueTooLarge    = "value_too_large"
	codeBatchTooLarge    = "batch_too_large"
	codeMediaType        = "unsupported_media_type"
	codeRange            = "range_not_satisfiable"
	codeIdempotency      = "idempotency_mismatch"
	codeCorrupt          = "corrupt"
	codeInternal         = "internal"
	codeMemberUnknown    = "member_not_found"
	codeMemberConflict   = "membership_conflict"
	codeCold             = "cold_unavailable"
	codeNoColdTier       = "no_cold_tier"
	codeOverloaded       = string(node.Overloaded)
	codeNoLeader         = string(node.NoLeader)
	codeNotReady         = string(node.NotReady)
	codeOutcomeUnknown   = string(node.OutcomeUnknown)
	codeDiskFull         = string(node.DiskFull)
	codeReadOnly         = string(node.ReadOnly)
)

// problem is an error as it is answered: an RFC 9457 body and the headers that go with it.
type problem struct {
	status int
	code   string
	detail string
	// hasOp and opIndex name the operation of a batch that failed.
	hasOp   bool
	opIndex int
	// hasSeq and seq are the newest version that the failure is about: in ETag on 412, in X-Scribe-Seq on both.
	hasSeq bool
	seq    uint64
	allow  string // the Allow header of a 405
	size   int    // of the representation, for the Content-Range of a 416
	hangup bool   // the body was not read to its end: close the connection behind the answer
	cause  error  // for the log, not for the client
	// retryAfter is when another try makes sense, where that is known; the statuses that always say so have a second.
	retryAfter time.Duration
}

func (p *problem) Error() string { return p.code + ": " + p.detail }

func (p *problem) Unwrap() error { return p.cause }

func badRequest(detail string) *problem {
	return &problem{status: http.StatusBadRequest, code: codeBadRequest, detail: detail}
}

func keyTooLong(most int) *problem {
	return &problem{status: 400, code: codeKeyTooLong, detail: "a key has at most " + strconv.Itoa(most) + " bytes"}
}

func noRoute() *problem {
	return &problem{status: http.StatusNotFound, code: codeNoRoute, detail: "there is nothing at this path"}
}

// atOp says which operation of a batch the problem is about.
func (p *problem) atOp(i int) *problem {
	p.hasOp, p.opIndex = true, i
	p.detail = "operation " + strconv.Itoa(i) + ": " + p.detail
	return p
}

// problemOf maps any error to its answer. write says that the request may have appended something by the time it
// failed, batch that a failure names one of several operations.
func problemOf(err error, write, batch bool) *problem {
	p := classify(err, write)
	var notFound *ledger.NotFoundError
	var failed *ledger.PreconditionError
	switch {
	case !batch || p.hasOp:
	case errors.As(err, &notFound):
		p.atOp(notFound.OpIndex)
	case errors.As(err, &failed):
		p.atOp(failed.OpIndex)
	}
	return p
}

func classify(err error, write bool) *problem {
	var (
		p           *problem
		notFound    *ledger.NotFoundError
		failed      *ledger.PreconditionError
		unavailable *node.Unavailable
		member      *node.MemberError
		corrupt     *vfs.CorruptError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &notFound):
		p = &problem{status: http.StatusNotFound, code: codeKeyNotFound, detail: "the key was never written"}
		if notFound.Tombstone {
			p.hasSeq, p.seq = true, notFound.Seq
			p.detail = "the key was deleted by entry " + strconv.FormatUint(notFound.Seq, 10)
		}
		return p
	case errors.Is(err, ledger.ErrVersionNotFound):
		return &problem{status: http.StatusNotFound, code: codeVersionNotFound,
			detail: "that seq is not a version of this key with a value"}
	case errors.As(err, &failed):
		p = &problem{status: http.StatusPreconditionFailed, code: codePrecondition, hasSeq: failed.Exists, seq: failed.Seq,
			detail: "the key was never written"}
		if failed.Exists {
			p.detail = "the key's newest version is " + strconv.FormatUint(failed.Seq, 10)
		}
		return p
	case errors.Is(err, ledger.ErrIdempotencyMismatch):
		return &problem{status: http.StatusUnprocessableEntity, code: codeIdempotency,
			detail: "the Idempotency-Key was used for a different request"}
	case errors.As(err, &unavailable):
		return unavailableProblem(unavailable, write)
	case errors.As(err, &member):
		return memberProblem(member)
	case errors.As(err, &corrupt):
		// The base name and the place are for the client to report; the directory is nobody's business.
		return &problem{status: http.StatusInternalServerError, code: codeCorrupt, cause: err,
			detail: "stored bytes failed their check: file " + path.Base(corrupt.File) +
				", offset " + strconv.FormatInt(corrupt.Offset, 10)}
	}
	if p = coldProblem(err); p != nil { // before the deadlines, for the store's is none of the request
		if write {
			p.detail += "; nothing was written"
		}
		return p
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		if write {
			return unavailableProblem(&node.Unavailable{Reason: node.OutcomeUnknown,
				Detail: "the write was not confirmed in time; it may or may not commit"}, write)
		}
		return &problem{status: http.StatusServiceUnavailable, code: codeNotReady, cause: err,
			detail: "the read was not confirmed in time"}
	case errors.Is(err, ledger.ErrClosed):
		return &problem{status: http.StatusServiceUnavailable, code: codeNotReady, cause: err,
			detail: "the node is shutting down"}
	case errors.Is(err, ledger.ErrRebuilding):
		return &problem{status: http.StatusServiceUnavailable, code: codeNotReady, cause: err,
			detail: "this node is being rebuilt from the other members; ask one of them"}
	}
	return &problem{status: http.StatusInternalServerError, code: codeInternal, cause: err,
		detail: "an error that should not happen; the log has it under the request id"}
}

// readerMethods are what a reader of an archive takes, wherever it takes anything.
const readerMethods = "GET, HEAD, OPTIONS"

func unavailableProblem(u *node.Unavailable, write bool) *problem {
	p := &problem{status: http.StatusServiceUnavailable, code: string(u.Reason), detail: u.Detail, cause: u}
	switch u.Reason {
	case node.Overloaded, node.NoLeader, node.NotReady:
	case node.OutcomeUnknown:
		p.status = http.StatusGatewayTimeout
		if !write {
			// A read has no outcome to be unsure of.
			p.status, p.code = http.StatusServiceUnavailable, codeNotReady
		}
	case node.DiskFull:
		p.status = http.StatusInsufficientStorage
	case node.ReadOnly:
		p.status, p.allow = http.StatusMethodNotAllowed, readerMethods
	default:
		p.status, p.code = http.StatusInternalServerError, codeInternal
	}
	return p
}

func memberProblem(e *node.MemberError) *problem {
	p := &problem{status: http.StatusBadRequest, code: codeBadRequest, detail: e.Reason, cause: e}
	switch e.Problem {
	case node.MemberUnknown:
		p.status, p.code = http.StatusNotFound, codeMemberUnknown
	case node.MemberConflict:
		p.status, p.code = http.StatusConflict, codeMemberConflict
	}
	return p
}

// title is the short text of a code, the same for every occurrence (RFC 9457 §3.1.3).
func (p *problem) title() string {
	switch p.code {
	case codeBadRequest:
		return "The request is malformed"
	case codeKeyEmpty:
		return "The key is empty"
	case codeKeyTooLong:
		return "The key is too long"
	case codeKeyNotFound:
		return "The key has no live version"
	case codeVersionNotFound:
		return "The key has no such version"
	case codeNoRoute:
		return "No such route"
	case codeMethodNotAllowed:
		return "The method is not allowed here"
	case codeRequestTimeout:
		return "The request body came too slowly"
	case codePrecondition:
		return "A precondition does not hold"
	case codeValueTooLarge:
		return "The value is too large"
	case codeBatchTooLarge:
		return "The batch is too large"
	case codeMediaType:
		return "The media type or coding is not supported"
	case codeRange:
		return "The range is not satisfiable"
	case codeIdempotency:
		return "The idempotency key belongs to another request"
	case codeCorrupt:
		return "Stored bytes are damaged"
	case codeMemberUnknown:
		return "There is no such member"
	case codeMemberConflict:
		return "The membership does not allow it"
	case codeCold:
		return "The object store is not available"
	case codeNoColdTier:
		return "There is no cold tier"
	case codeOverloaded:
		return "The node is overloaded"
	case codeNoLeader:
		return "The cluster has no leader"
	case codeNotReady:
		return "The node is not ready"
	case codeOutcomeUnknown:
		return "The outcome of the write is unknown"
	case codeDiskFull:
		return "The disk is full"
	case codeReadOnly:
		return "This server only reads"
	}
	return "Internal error"
}

// problemTypePrefix makes a code into the URI of the problem's type.
const problemTypePrefix = "urn:scribe:problem:"

// appendProblem appends the body.
func appendProblem(dst []byte, p *problem, requestID []byte) []byte {
	dst = append(dst, `{"type":"`+problemTypePrefix...)
	dst = append(dst, p.code...)
	dst = append(dst, `","title":"`...)
	dst = append(dst, p.title()...)
	dst = append(dst, `","status":`...)
	dst = strconv.AppendInt(dst, int64(p.status), 10)
	dst = append(dst, `,"detail":`...)
	dst = appendString(dst, p.detail)
	dst = append(dst, `,"code":"`...)
	dst = append(dst, p.code...)
	dst = append(dst, `","request_id":`...)
	dst = appendString(dst, requestID)
	if p.hasOp {
		dst = append(dst, `,"op_index":`...)
		dst = strconv.AppendInt(dst, int64(p.opIndex), 10)
	}
	return append(dst, "}\n"...)
}
