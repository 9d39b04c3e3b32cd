package s3store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/scribe-ledger/scribe/tier"
)

// sha256Meta is the name of the metadata that holds an object's SHA-256 in hex.
const sha256Meta = tier.ReservedMetadata + "sha256"

// Get implements tier.Store.
func (s *Store) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	if err := tier.CheckKey(key); err != nil {
		return nil, invalid("get", key, err)
	}
	if _, err := tier.Span(1<<62, off, n); err != nil {
		return nil, invalid("get", key, err)
	}
	in := &s3.GetObjectInput{Bucket: s.bucket(), Key: s.key(key)}
	switch {
	case n != tier.Rest:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	// The deadline of the body begins anew once its length is known.
	rctx, cancel := context.WithCancelCause(ctx)
	late := func() { cancel(context.DeadlineExceeded) }
	timer := time.AfterFunc(s.allowed(max(n, 0)), late)
	end := func() {
		timer.Stop()
		cancel(context.Canceled)
	}
	out, err := s.client.GetObject(rctx, in)
	if err != nil {
		end()
		if context.Cause(rctx) == context.DeadlineExceeded {
			err = tier.Ended("get", key, context.DeadlineExceeded)
		}
		err = s.classify(ctx, "get", key, err)
		if errors.Is(err, tier.ErrRange) && n == tier.Rest {
			return s.atEnd(ctx, key, off)
		}
		return nil, err
	}
	o, length, err := s.answered(key, off, n, out)
	if err != nil {
		end()
		return nil, errors.Join(invalid("get", key, err), out.Body.Close())
	}
	timer.Reset(s.allowed(length))
	return tier.NewReader(o, length, &body{ctx: rctx, caller: ctx, key: key, body: out.Body, end: end}), nil
}

// answered checks that an answer is for the range that was asked for, and returns how long it is. A server that ignores
// Range, or gives less, is not believed.
func (s *Store) answered(key string, off, n int64, out *s3.GetObjectOutput) (tier.Object, int64, error) {
	length := aws.ToInt64(out.ContentLength)
	size := length
	if off > 0 || n != tier.Rest {
		first, last, total, ok := parseContentRange(aws.ToString(out.ContentRange))
		if !ok {
			return tier.Object{}, 0, fmt.Errorf("%w: it ignores ranges", tier.ErrNoStore)
		}
		want, err := tier.Span(total, off, n)
		if err != nil {
			return tier.Object{}, 0, err
		}
		if first != off || last-first+1 != want || length != want {
			return tier.Object{}, 0, fmt.Errorf("%w: asked for %d bytes at %d it gave bytes %d to %d, %d long",
				tier.ErrNoStore, want, off, first, last, length)
		}
		size = total
	}
	return s.object(key, size, out.ETag, out.LastModified, out.Metadata), length, nil
}

// atEnd gives the empty rest behind the last byte, for which S3 has no range.
func (s *Store) atEnd(ctx context.Context, key string, off int64) (*tier.Reader, error) {
	o, err := s.Head(ctx, key)
	if err != nil {
		return nil, err
	}
	if o.Size != off {
		return nil, invalid("get", key, tier.ErrRange)
	}
	return tier.NewReader(o, 0, io.NopCloser(strings.NewReader(""))), nil
}

// parseContentRange reads "bytes 5-9/100" (RFC 9110 §14.4).
func parseContentRange(v string) (first, last, total int64, ok bool) {
	v, found := strings.CutPrefix(v, "bytes ")
	span, all, found2 := strings.Cut(v, "/")
	from, to, found3 := strings.Cut(span, "-")
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	total, err3 := strconv.ParseInt(all, 10, 64)
	ok = found && found2 && found3 && errors.Join(err1, err2, err3) == nil &&
		0 <= first && first <= last && last < total
	return first, last, total, ok
}

// body is the body of an answer, under its deadline.
type body struct {
	ctx    context.Context // the request's, which holds why it ended
	caller context.Context
	key    string
	body   io.ReadCloser
	end    func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	switch {
	case b.caller.Err() != nil:
		err = tier.Ended("get", b.key, b.caller.Err())
	case b.ctx.Err() != nil:
		err = tier.Ended("get", b.key, context.Cause(b.ctx))
	default:
		err = &tier.Error{Op: "get", Key: b.key, Temporary: true, Err: err}
	}
	return n, err
}

func (b *body) Close() error {
	b.end()
	return b.body.Close()
}

// Head implements tier.Store.
func (s *Store) Head(ctx context.Context, key string) (tier.Object, error) {
	if err := tier.CheckKey(key); err != nil {
		return tier.Object{}, invalid("head", key, err)
	}
	out, err := s.head(ctx, key, "")
	if statusOf(err) == http.StatusNotFound {
		return s.reallyNone(ctx, key)
	}
	if err != nil {
		return tier.Object{}, s.classify(ctx, "head", key, err)
	}
	return s.object(key, aws.ToInt64(out.ContentLength), out.ETag, out.LastModified, out.Metadata), nil
}

func (s *Store) head(ctx context.Context, key, version string) (*s3.HeadObjectOutput, error) {
	rctx, cancel := s.request(ctx, 0)
	defer cancel()
	in := &s3.HeadObjectInput{Bucket: s.bucket(), Key: s.key(key)}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	return s.client.HeadObject(rctx, in)
}

// reallyNone finds out what a 404 to a HEAD means, which has no body and so no code: the object, the bucket, or an
// endpoint that is no S3. A GET of one byte has one.
func (s *Store) reallyNone(ctx context.Context, key string) (tier.Object, error) {
	r, err := s.Get(ctx, key, 0, tier.Rest)
	if err != nil {
		var e *tier.Error
		if errors.As(err, &e) {
			e.Op = "head"
		}
		return tier.Object{}, err
	}
	return r.Object, r.Close() // it was made meanwhile
}

// object describes an object as the store answered.
func (s *Store) object(key string, size int64, etag *string, at *time.Time, meta map[string]string) tier.Object {
	o := tier.Object{Key: key, Size: size, ETag: strings.Trim(aws.ToString(etag), `"`), Modified: aws.ToTime(at)}
	for name, value := range meta {
		name = strings.ToLower(name)
		if name == sha256Meta {
			if sum, err := hex.DecodeString(value); err == nil && len(sum) == 32 {
				o.SHA256 = sum
			}
			continue
		}
		if o.Metadata == nil {
			o.Metadata = tier.Metadata{}
		}
		o.Metadata[name] = value
	}
	return o
}
