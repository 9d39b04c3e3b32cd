package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/scribe-ledger/scribe/tier"
)

// maxRetryAfter bounds what a store may ask for.
const maxRetryAfter = 5 * time.Minute

// classify turns an error of the SDK into one of package tier. ctx is the caller's, without the request's own deadline.
func (s *Store) classify(ctx context.Context, op, key string, err error) error {
	var known *tier.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if cerr := ctx.Err(); cerr != nil {
		return tier.Ended(op, key, cerr)
	}
	e := &tier.Error{Op: op, Key: key, Err: err}
	var refused *credentialsError
	if errors.As(err, &refused) {
		e.Err = fmt.Errorf("%w: %w", tier.ErrRefused, refused.err)
		return e
	}
	answer, status := answerOf(err)
	if status == 0 || status < 300 {
		// No answer, or one that breaks off: the deadline, the network, the server. What never was a request is for good.
		var unsent *smithyhttp.RequestSendError
		var unread *smithy.DeserializationError
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			e.Temporary, e.Err = true, context.DeadlineExceeded
		case errors.As(err, &unsent):
			e.Temporary, e.Err = true, unsent.Err
			var request *url.Error
			if errors.As(unsent.Err, &request) {
				e.Err = request.Err // the URL says nothing that the operation and the key do not
			}
		default:
			e.Temporary = errors.As(err, &unread)
		}
		return e
	}
	e.RetryAfter = retryAfter(answer.Response.Header, s.opts.Now())
	var api smithy.APIError
	code := ""
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	cause, temporary := meaning(status, code)
	e.Temporary = temporary
	switch {
	case status >= 300 && status < 400:
		e.Err = fmt.Errorf("%w, %q and not %q: %w", tier.ErrRegion, answer.Response.Header.Get("X-Amz-Bucket-Region"),
			s.opts.Region, brief(status, api))
	case cause != nil:
		e.Err = fmt.Errorf("%w: %w", cause, brief(status, api))
	default:
		e.Err = brief(status, api)
	}
	return e
}

// answerOf is the HTTP answer that an error of the SDK is about, and its status, 0 when there was none.
func answerOf(err error) (*smithyhttp.ResponseError, int) {
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.Response == nil || answer.Response.Response == nil {
		return nil, 0
	}
	return answer, answer.HTTPStatusCode()
}

// brief is the cause of an error that the store answered with, in one line and without what the SDK wraps around it.
func brief(status int, api smithy.APIError) error {
	if api == nil {
		return fmt.Errorf("HTTP status %d", status)
	}
	return fmt.Errorf("HTTP status %d, %s: %s", status, api.ErrorCode(), api.ErrorMessage())
}

// meaning says what an answer means: which of the errors of package tier, nil for none of them, and whether trying
// again can help. Codes are those of the S3 API reference, "Error responses".
func meaning(status int, code string) (cause error, temporary bool) {
	switch code {
	case "NoSuchKey", "NoSuchUpload", "NoSuchVersion":
		return tier.ErrNotFound, false
	case "NoSuchBucket":
		return tier.ErrNoBucket, false
	case "InvalidRange":
		return tier.ErrRange, false
	case "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch":
		return tier.ErrMismatch, true // what was sent did match, so it was damaged on the way
	case "AuthorizationHeaderMalformed", "IncorrectEndpoint": // its scope has the region
		return tier.ErrRegion, false
	case "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "XAdminUserNotFound": // the last is versitygw's
		return tier.ErrRefused, false
	case "ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "IncompleteBody", "SlowDown", "Throttling",
		"InternalError", "ServiceUnavailable":
		return nil, true
	case "EntityTooLarge":
		return tier.ErrTooLarge, false
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return tier.ErrRefused, false
	case http.StatusPreconditionFailed:
		return errPrecondition, false
	case http.StatusRequestedRangeNotSatisfiable:
		return tier.ErrRange, false
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return nil, true
	case http.StatusNotImplemented:
		return nil, false
	case http.StatusNotFound:
		return tier.ErrNoStore, false // with a code of S3 it was dealt with above
	}
	return nil, status >= 500
}

// errPrecondition: the If-None-Match or If-Match of a request did not hold.
var errPrecondition = errors.New("a condition does not hold")

// because replaces one cause of a classified error by another.
func because(err, from, to error) error {
	var e *tier.Error
	if !errors.Is(err, from) || !errors.As(err, &e) {
		return err
	}
	return &tier.Error{Op: e.Op, Key: e.Key, Temporary: e.Temporary, RetryAfter: e.RetryAfter, Err: to}
}

// retryAfter reads Retry-After, in seconds or as a date (RFC 9110 §10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	var d time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}

// credentialsError is the failure to get credentials, which the SDK would otherwise wrap beyond recognition.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// credentials marks the errors of a provider.
type credentials struct{ aws.CredentialsProvider }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	v, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return v, &credentialsError{err}
	}
	return v, nil
}
