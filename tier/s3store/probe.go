package s3store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/scribe-ledger/scribe/tier"
)

var _ tier.Probing = (*Store)(nil)

// ProbeChecksum implements [tier.Probing]: it sends bytes under a signature that is right and a checksum that is not.
func (s *Store) ProbeChecksum(ctx context.Context, key string) (bool, error) {
	if err := tier.CheckKey(key); err != nil {
		return false, invalid("put", key, err)
	}
	rctx, cancel := s.request(ctx, 0)
	defer cancel()
	data := []byte("these bytes")
	_, err := s.client.PutObject(rctx, &s3.PutObjectInput{
		Bucket: s.bucket(), Key: s.key(key), Body: sent{bytes.NewReader(data)},
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ChecksumSHA256: encoded(sha256.Sum256([]byte("others"))),
	}, payloadHash(sha256.Sum256(data)))
	if err == nil {
		return false, nil
	}
	if err = s.classify(ctx, "put", key, err); errors.Is(err, tier.ErrMismatch) || !isTrouble(err) {
		return true, nil
	}
	return false, err
}

// isTrouble says whether a failure is about the store and not about what was sent.
func isTrouble(err error) bool {
	_, temporary := tier.Temporary(err)
	return temporary || errors.Is(err, tier.ErrRefused) || errors.Is(err, tier.ErrNoBucket) || errors.Is(err, tier.ErrNoStore)
}

// PutInParts implements [tier.Probing].
func (s *Store) PutInParts(ctx context.Context, key string, body tier.Body, opts tier.PutOptions) (tier.Object, error) {
	if err := tier.CheckPut(key, body, opts); err != nil {
		return tier.Object{}, invalid("put", key, err)
	}
	o, err := s.putParts(ctx, key, body, opts)
	return o, because(err, errPrecondition, tier.ErrExists)
}
