package s3store

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/scribe-ledger/scribe/tier"
)

// statusOf is the HTTP status of the answer that an error of the SDK is about, 0 when there was none.
func statusOf(err error) int {
	_, status := answerOf(err)
	return status
}

// Delete implements tier.Store. Where the bucket has versions, all of the object's go, the oldest first: what is deleted
// never brings an older version to light.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := tier.CheckKey(key); err != nil {
		return invalid("delete", key, err)
	}
	head, err := s.head(ctx, key, "")
	switch {
	case statusOf(err) == http.StatusNotFound && headOfMarker(err):
		return s.deleteVersions(ctx, key) // hidden by a delete marker, and still there
	case statusOf(err) == http.StatusNotFound:
		_, err := s.reallyNone(ctx, key)
		if errors.Is(err, tier.ErrNotFound) {
			return nil
		}
		return err
	case err != nil:
		return s.classify(ctx, "delete", key, err)
	case aws.ToString(head.VersionId) != "":
		return s.deleteVersions(ctx, key)
	}
	return s.deleteOne(ctx, key, "")
}

// headOfMarker says whether a 404 comes from a delete marker.
func headOfMarker(err error) bool {
	answer, status := answerOf(err)
	return status != 0 && answer.Response.Header.Get("X-Amz-Delete-Marker") == "true"
}

// deleteVersions deletes the versions and delete markers of one key.
func (s *Store) deleteVersions(ctx context.Context, key string) error {
	versions, err := s.versions(ctx, key)
	if err != nil {
		return s.classify(ctx, "delete", key, err)
	}
	for _, id := range slices.Backward(versions) {
		if err := s.deleteOne(ctx, key, id); err != nil {
			return err
		}
	}
	return nil
}

// maxVersions bounds how many versions of one object a Delete takes on.
const maxVersions = 10_000

// versions lists the ids of all versions of a key, the newest first.
func (s *Store) versions(ctx context.Context, key string) ([]string, error) {
	var ids []string
	in := &s3.ListObjectVersionsInput{Bucket: s.bucket(), Prefix: s.key(key)}
	for {
		rctx, cancel := s.request(ctx, 0)
		out, err := s.client.ListObjectVersions(rctx, in)
		cancel()
		if err != nil {
			return nil, err
		}
		// Markers and versions come in two lists; where one key has both, the markers are the younger ones as far as
		// what they hide is concerned, and go last.
		var page []string
		for _, m := range out.DeleteMarkers {
			if aws.ToString(m.Key) == *s.key(key) {
				page = append(page, aws.ToString(m.VersionId))
			}
		}
		for _, v := range out.Versions {
			if aws.ToString(v.Key) == *s.key(key) {
				page = append(page, aws.ToString(v.VersionId))
			}
		}
		ids = append(ids, page...)
		if !aws.ToBool(out.IsTruncated) || len(page) == 0 || len(ids) > maxVersions {
			return ids, nil
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
}

// deleteOne deletes a version, or with no version the object of a bucket without them.
func (s *Store) deleteOne(ctx context.Context, key, version string) error {
	rctx, cancel := s.request(ctx, 0)
	defer cancel()
	in := &s3.DeleteObjectInput{Bucket: s.bucket(), Key: s.key(key)}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	_, err := s.client.DeleteObject(rctx, in)
	if status := statusOf(err); status == http.StatusForbidden || status == http.StatusBadRequest ||
		status == http.StatusConflict {
		// Servers have several answers for a lock, none of them its own; what is locked says so itself.
		if s.isLocked(ctx, key, version) {
			return invalid("delete", key, tier.ErrLocked)
		}
	}
	err = s.classify(ctx, "delete", key, err)
	if errors.Is(err, tier.ErrNotFound) {
		return nil
	}
	return err
}

// lockSkew is how far the clock of a server may be behind this one's: S3 refuses requests that are further off. A retention
// that has ended by this clock may have kept the object by the server's, or have ended between the two requests.
const lockSkew = 15 * time.Minute

// isLocked says of an object that the server did not delete whether its retention or a legal hold has kept it. Not to know
// is not locked.
func (s *Store) isLocked(ctx context.Context, key, version string) bool {
	out, err := s.head(ctx, key, version)
	if err != nil {
		return false
	}
	return aws.ToTime(out.ObjectLockRetainUntilDate).After(s.opts.Now().Add(-lockSkew)) ||
		out.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn
}

// LockAvailable implements [tier.Locking]: whether the bucket was made with Object Lock.
func (s *Store) LockAvailable(ctx context.Context) (bool, error) {
	rctx, cancel := s.request(ctx, 0)
	defer cancel()
	out, err := s.client.GetObjectLockConfiguration(rctx, &s3.GetObjectLockConfigurationInput{Bucket: s.bucket()})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "ObjectLockConfigurationNotFoundError" {
		return false, nil
	}
	if err != nil {
		return false, s.classify(ctx, "object lock of", "", err)
	}
	return out.ObjectLockConfiguration != nil &&
		out.ObjectLockConfiguration.ObjectLockEnabled == types.ObjectLockEnabledEnabled, nil
}
