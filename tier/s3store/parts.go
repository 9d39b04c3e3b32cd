package s3store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/scribe-ledger/scribe/tier"
	"golang.org/x/sync/errgroup"
)

// upload is one object being made of parts.
type upload struct {
	s    *Store
	key  string
	id   string
	body tier.Body
	opts tier.PutOptions
	// parts and sums have one element a part. The reader sets the sum and the part's own goroutine the part; who needs
	// them all waits for those.
	parts []types.CompletedPart
	sums  [][sha256.Size]byte
}

// putParts makes an object of parts. Its parts are sent in parallel, and read in order, each once; an upload that fails
// is aborted, and one that cannot be aborted is found by Uploads.
func (s *Store) putParts(ctx context.Context, key string, body tier.Body, opts tier.PutOptions) (tier.Object, error) {
	n := max(1, (body.Size+s.opts.PartBytes-1)/s.opts.PartBytes)
	if n > maxParts {
		return tier.Object{}, invalid("put", key, fmt.Errorf("%w: %d bytes are more than %d parts of %d",
			tier.ErrTooLarge, body.Size, maxParts, s.opts.PartBytes))
	}
	u := &upload{s: s, key: key, body: body, opts: opts,
		parts: make([]types.CompletedPart, n), sums: make([][sha256.Size]byte, n)}
	if err := u.begin(ctx); err != nil {
		return tier.Object{}, s.classify(ctx, "put", key, err)
	}
	err := u.send(ctx)
	var out *s3.CompleteMultipartUploadOutput
	if err == nil {
		out, err = u.complete(ctx)
	}
	if err != nil {
		actx, cancel := tier.Cleanup(ctx)
		defer cancel()
		// The first error is the one to report.
		_ = s.AbortUpload(actx, tier.Upload{Key: key, ID: u.id})
		return tier.Object{}, s.classify(ctx, "put", key, err)
	}
	if err := u.verify(aws.ToString(out.ChecksumSHA256)); err != nil {
		return tier.Object{}, invalid("put", key, err)
	}
	return s.made(key, body, opts, out.ETag), nil
}

func (u *upload) begin(ctx context.Context) error {
	s := u.s
	in := &s3.CreateMultipartUploadInput{
		Bucket: s.bucket(), Key: s.key(u.key), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		ChecksumType: types.ChecksumTypeComposite, Metadata: s.metadata(u.body, u.opts),
		ServerSideEncryption: types.ServerSideEncryption(s.opts.Encryption), SSEKMSKeyId: s.kmsKey(),
	}
	if u.opts.Sealed {
		in.StorageClass = types.StorageClass(s.opts.StorageClass)
		if mode := s.opts.lockMode(); mode != "" {
			in.ObjectLockMode, in.ObjectLockRetainUntilDate = mode, aws.Time(s.opts.Now().Add(s.opts.Retention))
		}
	}
	rctx, cancel := s.request(ctx, 0)
	defer cancel()
	out, err := s.client.CreateMultipartUpload(rctx, in)
	if err != nil {
		return err
	}
	if u.id = aws.ToString(out.UploadId); u.id == "" {
		return tier.ErrNoStore
	}
	return nil
}

// send reads the parts, one after the other, and sends several at once, as the store's slots allow. When one fails, no
// more are begun, but those under way are waited for, and not cancelled: a server may finish a part whose sender is gone
// behind the abort that follows, and the upload is there again.
func (u *upload) send(ctx context.Context) error {
	group, stop := errgroup.WithContext(ctx)
	read := u.read(ctx, stop, group)
	sent := group.Wait()
	if sent != nil {
		return sent // reading then ended because of it
	}
	return read
}

// read reads the parts for their sums until stop ends, and has each sent under ctx.
func (u *upload) read(ctx, stop context.Context, group *errgroup.Group) error {
	whole := u.body.Check()
	for i := range u.parts {
		off := int64(i) * u.s.opts.PartBytes
		n := min(u.s.opts.PartBytes, u.body.Size-off)
		if err := u.s.slots.Acquire(stop, 1); err != nil {
			return err
		}
		sum := sha256.New()
		if err := hash(io.MultiWriter(whole, sum), u.body, off, n); err != nil {
			u.s.slots.Release(1)
			return invalid("put", u.key, err)
		}
		u.sums[i] = [sha256.Size]byte(sum.Sum(nil))
		group.Go(func() error {
			defer u.s.slots.Release(1)
			return u.part(ctx, i, off, n)
		})
	}
	if !whole.Passed() {
		return invalid("put", u.key, tier.ErrMismatch)
	}
	return nil
}

// part sends part i. To send one twice does no harm, so it is tried a few times: to lose one must not mean to begin
// a large upload anew.
func (u *upload) part(ctx context.Context, i int, off, n int64) error {
	s, number := u.s, aws.Int32(int32(i+1))
	retry := tier.Retry{Tries: s.opts.PartTries}
	return retry.Do(ctx, func(ctx context.Context) error {
		rctx, cancel := s.request(ctx, n)
		defer cancel()
		out, err := s.client.UploadPart(rctx, &s3.UploadPartInput{
			Bucket: s.bucket(), Key: s.key(u.key), UploadId: aws.String(u.id), PartNumber: number,
			Body: sent{u.body.Section(off, n)}, ContentLength: aws.Int64(n),
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ChecksumSHA256: encoded(u.sums[i]),
		}, payloadHash(u.sums[i]))
		if err != nil {
			return s.classify(ctx, "put", u.key, err)
		}
		u.parts[i] = types.CompletedPart{ETag: out.ETag, PartNumber: number, ChecksumSHA256: encoded(u.sums[i])}
		return nil
	})
}

// complete makes the object of the parts, unless there is one.
func (u *upload) complete(ctx context.Context) (*s3.CompleteMultipartUploadOutput, error) {
	rctx, cancel := u.s.request(ctx, u.body.Size) // servers that copy the parts together take their time
	defer cancel()
	return u.s.client.CompleteMultipartUpload(rctx, &s3.CompleteMultipartUploadInput{
		Bucket: u.s.bucket(), Key: u.s.key(u.key), UploadId: aws.String(u.id), IfNoneMatch: aws.String("*"),
		ChecksumType:    types.ChecksumTypeComposite,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	})
}

// verify compares the store's checksum of checksums, where it gives one, with our own.
func (u *upload) verify(got string) error {
	h := sha256.New()
	for _, sum := range u.sums {
		h.Write(sum[:])
	}
	want := fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), len(u.sums))
	if got != "" && got != want {
		return fmt.Errorf("%w: the parts give %s, the store has %s", tier.ErrMismatch, want, got)
	}
	return nil
}
