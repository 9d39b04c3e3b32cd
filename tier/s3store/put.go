package s3store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/scribe-ledger/scribe/tier"
)

// Put implements tier.Store.
func (s *Store) Put(ctx context.Context, key string, body tier.Body, opts tier.PutOptions) (tier.Object, error) {
	if err := tier.CheckPut(key, body, opts); err != nil {
		return tier.Object{}, invalid("put", key, err)
	}
	var o tier.Object
	var err error
	if body.Size > s.opts.PartBytes {
		// The condition holds when the upload is completed; asking first spares sending what is there already.
		if _, err := s.Head(ctx, key); err == nil {
			return tier.Object{}, invalid("put", key, tier.ErrExists)
		} else if !errors.Is(err, tier.ErrNotFound) {
			return tier.Object{}, err
		}
		o, err = s.putParts(ctx, key, body, opts)
	} else {
		o, err = s.putOne(ctx, "put", key, body, opts, func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	}
	return o, because(err, errPrecondition, tier.ErrExists)
}

// Replace implements tier.Store.
func (s *Store) Replace(ctx context.Context, key string, body tier.Body, ifMatch string, opts tier.PutOptions,
) (tier.Object, error) {
	if err := tier.CheckReplace(key, body, opts); err != nil {
		return tier.Object{}, invalid("replace", key, err)
	}
	o, err := s.putOne(ctx, "replace", key, body, opts, func(in *s3.PutObjectInput) {
		if ifMatch != "" {
			in.IfMatch = aws.String(`"` + ifMatch + `"`)
		}
	})
	if ifMatch != "" {
		err = because(err, tier.ErrNotFound, tier.ErrChanged) // AWS answers 404 where there is nothing to match
	}
	return o, because(err, errPrecondition, tier.ErrChanged)
}

// putOne makes an object in one request.
func (s *Store) putOne(ctx context.Context, op, key string, body tier.Body, opts tier.PutOptions,
	condition func(*s3.PutObjectInput)) (tier.Object, error) {
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return tier.Object{}, s.classify(ctx, op, key, err)
	}
	defer s.slots.Release(1)
	h := sha256.New()
	if err := hash(h, body, 0, body.Size); err != nil {
		return tier.Object{}, invalid(op, key, err)
	}
	if [sha256.Size]byte(h.Sum(nil)) != body.SHA256 {
		return tier.Object{}, invalid(op, key, tier.ErrMismatch)
	}
	in := &s3.PutObjectInput{
		Bucket: s.bucket(), Key: s.key(key), Body: sent{body.Section(0, body.Size)}, ContentLength: aws.Int64(body.Size),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ChecksumSHA256: encoded(body.SHA256),
		Metadata:             s.metadata(body, opts),
		ServerSideEncryption: types.ServerSideEncryption(s.opts.Encryption), SSEKMSKeyId: s.kmsKey(),
	}
	if opts.Sealed {
		in.StorageClass = types.StorageClass(s.opts.StorageClass)
		if mode := s.opts.lockMode(); mode != "" {
			in.ObjectLockMode, in.ObjectLockRetainUntilDate = mode, aws.Time(s.opts.Now().Add(s.opts.Retention))
		}
	}
	condition(in)
	rctx, cancel := s.request(ctx, body.Size)
	defer cancel()
	out, err := s.client.PutObject(rctx, in, payloadHash(body.SHA256))
	if err != nil {
		return tier.Object{}, s.classify(ctx, op, key, err)
	}
	if got := aws.ToString(out.ChecksumSHA256); got != "" && got != *encoded(body.SHA256) {
		return tier.Object{}, invalid(op, key, fmt.Errorf("%w: the store computed %s", tier.ErrMismatch, got))
	}
	return s.made(key, body, opts, out.ETag), nil
}

// made describes an object that was just put.
func (s *Store) made(key string, body tier.Body, opts tier.PutOptions, etag *string) tier.Object {
	o := s.object(key, body.Size, etag, nil, opts.Metadata)
	o.SHA256 = body.SHA256[:]
	return o
}

// metadata is what goes with an object: the caller's, and the SHA-256.
func (s *Store) metadata(body tier.Body, opts tier.PutOptions) map[string]string {
	m := map[string]string{sha256Meta: hex.EncodeToString(body.SHA256[:])}
	maps.Copy(m, opts.Metadata)
	return m
}

func (s *Store) kmsKey() *string {
	if s.opts.KMSKeyID == "" {
		return nil
	}
	return aws.String(s.opts.KMSKeyID)
}

// sent is a body for the SDK. It has no WriteTo on purpose: the SDK would hold its lock on the body for as long as that
// takes, and wait for it behind a server that has answered and reads no more.
type sent struct{ io.ReadSeeker }

// hash writes n bytes of a body, from off on, to w, through a small buffer: what is sent is read again then, and not held. What
// has changed meanwhile the server refuses, by the checksum.
func hash(w io.Writer, body tier.Body, off, n int64) error {
	for p, err := range body.Pieces(make([]byte, min(n, tier.LimiterBytes)), off, n) {
		if err == nil {
			_, err = w.Write(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// encoded is a checksum as S3 has it in headers.
func encoded(sum [sha256.Size]byte) *string {
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

// payloadHash tells the signer the SHA-256 of the body, which it would otherwise compute again.
func payloadHash(sum [sha256.Size]byte) func(*s3.Options) {
	set := middleware.InitializeMiddlewareFunc("KnownPayloadHash", func(ctx context.Context,
		in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(v4.SetPayloadHash(ctx, hex.EncodeToString(sum[:])), in)
	})
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(set, middleware.After)
		})
	}
}
