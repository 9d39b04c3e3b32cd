package config

import (
	"fmt"
	"path"
	"strings"
)

// At returns the settings of the store that a bucket URL names: s3://bucket/prefix, dir:/path, or the path of a folder.
// What a URL does not say, the endpoint and the credentials among it, stays as it is.
func (t Tier) At(url string) (Tier, error) {
	scheme, rest, isURL := strings.Cut(url, "://")
	if dir, ok := strings.CutPrefix(url, "dir:"); ok {
		scheme, rest, isURL = "dir", dir, true
	}
	bucket, prefix, _ := strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/")
	switch {
	case strings.ContainsFunc(url, func(r rune) bool { return r < ' ' }):
	case !isURL && url != "":
		t.Backend, t.Dir = "dir", url
		return t, nil
	case scheme == "dir" && rest != "":
		t.Backend, t.Dir = "dir", rest
		return t, nil
	case scheme == "s3" && bucket != "" && !strings.ContainsAny(rest, " ?#@:\\") && !strings.Contains(rest, "//"):
		t.Backend, t.S3.Bucket, t.S3.Prefix = "s3", bucket, prefix
		return t, nil
	}
	return t, fmt.Errorf("%q is no bucket: give %s", url, bucketForm)
}

const bucketForm = "s3://bucket/prefix, dir:/path, or the path of a folder"

// Private says that no store is named: that of a node is the folder cold in its own data directory, which no other node
// reaches.
func (t Tier) Private() bool { return t.Backend == "dir" && t.Dir == "" }

// place is where the store is, as a URL.
func (t Tier) place() string {
	switch t.Backend {
	case "s3":
		return strings.TrimSuffix("s3://"+t.S3.Bucket+"/"+t.S3.Prefix, "/")
	case "dir":
		if t.Private() {
			return "the folder cold in the data directory"
		}
		return "dir:" + path.Clean(t.Dir)
	}
	return t.Backend
}

// bucketValue is a bucket URL, or empty.
type bucketValue struct{ p *string }

func (v bucketValue) set(s string) bool {
	if _, err := (Tier{}).At(s); s != "" && err != nil {
		return false
	}
	*v.p = s
	return true
}
func (v bucketValue) text() string       { return *v.p }
func (v bucketValue) want() string       { return bucketForm }
func (v bucketValue) accepts(t any) bool { return isString(t) }
