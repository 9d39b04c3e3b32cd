package s3store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/scribe-ledger/scribe/tier"
)

// List implements tier.Store. Objects whose names are no keys (see [tier.CheckKey]) are passed over: they cannot have
// been put by a store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) (tier.Page, error) {
	if err := tier.CheckPrefix(prefix); err != nil {
		return tier.Page{}, invalid("list", prefix, err)
	}
	for {
		page, err := s.listPage(ctx, prefix, after, tier.PageLimit(limit))
		if err != nil {
			return tier.Page{}, s.classify(ctx, "list", prefix, err)
		}
		if len(page.Objects) > 0 || page.Next == "" {
			return page, nil
		}
		after = page.Next // a page of nothing but foreign names
	}
}

func (s *Store) listPage(ctx context.Context, prefix, after string, limit int) (tier.Page, error) {
	rctx, cancel := s.request(ctx, 0)
	defer cancel()
	in := &s3.ListObjectsV2Input{Bucket: s.bucket(), Prefix: s.key(prefix),
		// MinIO answers a question for one with the object that is named like the prefix, and says that is all.
		MaxKeys: aws.Int32(int32(max(limit, 2)))}
	if after != "" {
		in.StartAfter = s.key(after)
	}
	out, err := s.client.ListObjectsV2(rctx, in)
	if err != nil {
		return tier.Page{}, err
	}
	if out.Name == nil && out.KeyCount == nil && out.MaxKeys == nil {
		return tier.Page{}, invalid("list", prefix, tier.ErrNoStore) // a 200 with something else in it
	}
	var page tier.Page
	last := ""
	for _, o := range out.Contents {
		key, ours := strings.CutPrefix(aws.ToString(o.Key), s.prefix)
		if !ours || !strings.HasPrefix(key, prefix) || key <= after || key <= last {
			return tier.Page{}, invalid("list", prefix, tier.ErrNoStore) // it ignores the prefix, the order, or where to begin
		}
		last = key
		if tier.CheckKey(key) == nil {
			page.Objects = append(page.Objects, s.object(key, aws.ToInt64(o.Size), o.ETag, o.LastModified, nil))
		}
	}
	if len(page.Objects) > limit {
		page.Objects = page.Objects[:limit]
		page.Next = page.Objects[limit-1].Key
	} else if aws.ToBool(out.IsTruncated) {
		if page.Next = last; last == "" {
			return tier.Page{}, invalid("list", prefix, tier.ErrNoStore) // more, and nothing to go on from
		}
	}
	return page, nil
}

// Uploads implements tier.Store. Servers have orders of their own for the uploads of one key, which change as parts come,
// and some refuse markers within a key. So it goes on from key to key, and where a page ends within one it lists that
// key's uploads all, and orders them by id.
func (s *Store) Uploads(ctx context.Context, prefix string, after tier.Upload, limit int) (tier.UploadPage, error) {
	if err := tier.CheckPrefix(prefix); err != nil {
		return tier.UploadPage{}, invalid("list uploads", prefix, err)
	}
	page, err := s.uploads(ctx, prefix, after, tier.PageLimit(limit))
	if err != nil {
		return tier.UploadPage{}, s.classify(ctx, "list uploads", prefix, err)
	}
	return page, nil
}

func (s *Store) uploads(ctx context.Context, prefix string, after tier.Upload, limit int) (tier.UploadPage, error) {
	var page tier.UploadPage
	if after.ID != "" && strings.HasPrefix(after.Key, prefix) {
		same, err := s.uploadsOf(ctx, after.Key)
		if err != nil {
			return page, err
		}
		page.Uploads = slices.DeleteFunc(same, func(u tier.Upload) bool { return u.ID <= after.ID })
	}
	page.More = len(page.Uploads) >= limit // that is enough; what else there is will be seen
	if !page.More {
		next, err := s.uploadsPage(ctx, prefix, after.Key, limit)
		if err != nil {
			return page, err
		}
		if page.More = next.More; page.More {
			last := next.Uploads[len(next.Uploads)-1].Key
			same, err := s.uploadsOf(ctx, last)
			if err != nil {
				return page, err
			}
			next.Uploads = slices.DeleteFunc(next.Uploads, func(u tier.Upload) bool { return u.Key == last })
			next.Uploads = append(next.Uploads, same...)
		}
		slices.SortFunc(next.Uploads, byKeyAndID)
		page.Uploads = append(page.Uploads, next.Uploads...)
	}
	if len(page.Uploads) > limit {
		page.Uploads, page.More = page.Uploads[:limit], true
	}
	return page, nil
}

func byKeyAndID(a, b tier.Upload) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
}

// uploadsOf lists the uploads of one key in order of ids, of more than a full page as many as that.
func (s *Store) uploadsOf(ctx context.Context, key string) ([]tier.Upload, error) {
	page, err := s.uploadsPage(ctx, key, "", tier.MaxListed)
	same := slices.DeleteFunc(page.Uploads, func(u tier.Upload) bool { return u.Key != key })
	slices.SortFunc(same, byKeyAndID)
	return same, err
}

func (s *Store) uploadsPage(ctx context.Context, prefix, afterKey string, limit int) (tier.UploadPage, error) {
	rctx, cancel := s.request(ctx, 0)
	defer cancel()
	in := &s3.ListMultipartUploadsInput{Bucket: s.bucket(), Prefix: s.key(prefix), MaxUploads: aws.Int32(int32(limit))}
	if afterKey != "" {
		in.KeyMarker = s.key(afterKey)
	}
	out, err := s.client.ListMultipartUploads(rctx, in)
	if err != nil {
		return tier.UploadPage{}, err
	}
	var page tier.UploadPage
	for _, u := range out.Uploads {
		key, ours := strings.CutPrefix(aws.ToString(u.Key), s.prefix)
		if !ours || !strings.HasPrefix(key, prefix) {
			return tier.UploadPage{}, invalid("list uploads", prefix, tier.ErrNoStore)
		}
		if tier.CheckKey(key) == nil && key > afterKey { // MinIO ignores the marker
			page.Uploads = append(page.Uploads, tier.Upload{
				Key: key, ID: aws.ToString(u.UploadId), Started: aws.ToTime(u.Initiated),
			})
		}
	}
	page.More = aws.ToBool(out.IsTruncated) && len(page.Uploads) > 0
	return page, nil
}

// AbortUpload implements tier.Store.
func (s *Store) AbortUpload(ctx context.Context, u tier.Upload) error {
	if err := cmp.Or(tier.CheckKey(u.Key), needed(u.ID)); err != nil {
		return invalid("abort upload", u.Key, err)
	}
	rctx, cancel := s.request(ctx, 0)
	defer cancel()
	_, err := s.client.AbortMultipartUpload(rctx, &s3.AbortMultipartUploadInput{
		Bucket: s.bucket(), Key: s.key(u.Key), UploadId: aws.String(u.ID),
	})
	err = s.classify(ctx, "abort upload", u.Key, err)
	if errors.Is(err, tier.ErrNotFound) {
		return nil
	}
	return err
}

func needed(id string) error {
	if id == "" {
		return bad("an upload has an id")
	}
	return nil
}
