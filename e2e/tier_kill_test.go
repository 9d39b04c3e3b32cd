package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scribe-ledger/scribe/tier/s3test"
)

// bucketHas are the objects of segments in the server's bucket, and the keys of uploads that were begun and not ended.
func bucketHas(t *testing.T, s *s3test.Server) (objects map[string]bool, uploads []string) {
	t.Helper()
	objects = make(map[string]bool)
	pages := s3.NewListObjectsV2Paginator(s.Client(), &s3.ListObjectsV2Input{Bucket: aws.String(s.Bucket),
		Prefix: aws.String("segments/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			objects[aws.ToString(o.Key)] = true
		}
	}
	page, err := s.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(s.Bucket)})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range page.Uploads {
		uploads = append(uploads, aws.ToString(u.Key))
	}
	return objects, uploads
}

// TestTierKilled: a node that is killed in the midst of an upload in parts, before its object is recorded, behind a
// publication, an eviction or a merge, goes on where it was: it has lost nothing, and in the end there is one object for each
// segment, and no upload that was not ended.
func TestTierKilled(t *testing.T) {
	store := s3test.Start(t)
	env := onStore(store, "SCRIBE_TIER_POLICY_MIN_AGE=100h", "SCRIBE_TIER_POLICY_DELETE_AFTER=1s",
		"SCRIBE_TIER_S3_PART_BYTES=5MiB")
	o := options{dir: t.TempDir(), env: env}
	values := make(map[string]string)
	for i, step := range []struct {
		name, path string
		env        []string
		reached    func(s *scribe)
	}{
		{"an upload in parts", "tier?evict=1", []string{"SCRIBE_TIER_UPLOAD_BYTES_PER_SECOND=4MiB"}, func(s *scribe) {
			eventually(t, func() string {
				if _, uploads := bucketHas(t, store); len(uploads) == 0 {
					return "no upload has begun"
				}
				return ""
			})
		}},
		{"an object", "tier?evict=1", nil, func(s *scribe) { s.awaitLine("segment uploaded and read back") }},
		{"a publication", "tier?evict=1", nil, func(s *scribe) { s.awaitLine("archive published") }},
		{"an eviction", "tier?evict=1", nil, func(s *scribe) { s.awaitLine("segment evicted") }},
		{"a merge", "compact?full=1", nil, func(s *scribe) { s.awaitLine("merged segment built") }},
	} {
		with := o
		with.env = append(slices.Clone(env), step.env...)
		s := start(t, with)
		maps.Copy(values, s.fill(step.name))
		huge := fmt.Sprintf("huge/%d", i)
		values[huge] = string(noise(6<<20, step.name))
		s.put(huge, values[huge])
		s.seal()
		asked := make(chan struct{})
		go func() { // nobody waits for the answer: the node does not live to give one
			defer close(asked)
			if resp, err := http.Post(s.url("/v1/admin/"+step.path), "", nil); err == nil {
				resp.Body.Close()
			}
		}()
		step.reached(s)
		s.kill()
		<-asked
	}
	s := start(t, o)
	s.evict()
	s.readsBack(values)
	eventually(t, func() string {
		objects, uploads := bucketHas(t, store)
		var lacking []string
		for _, g := range s.segments() {
			if !objects[g.Object] {
				lacking = append(lacking, g.ID)
			}
			delete(objects, g.Object)
		}
		if len(lacking)+len(objects)+len(uploads) > 0 {
			return fmt.Sprintf("without objects: %s; without segments: %v; uploads: %s", strings.Join(lacking, " "), objects,
				strings.Join(uploads, " "))
		}
		return ""
	})
	s.stop()
	if code, out, err := run(t, store.Environ(), "scribe", "fsck", "--bucket", "s3://"+store.Bucket); code != 0 {
		t.Errorf("fsck: %d\n%s%s", code, out, err)
	}
}
