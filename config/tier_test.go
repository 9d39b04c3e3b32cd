package config

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestBucketURLs(t *testing.T) {
	was := Tier{Backend: "none", Dir: "old", S3: S3{Bucket: "b0", Prefix: "p0", Endpoint: "https://h", Region: "r"}}
	for url, want := range map[string]string{
		"s3://b":        "s3 b  ",
		"s3://b/":       "s3 b  ",
		"s3://b/p":      "s3 b p ",
		"s3://b/p/q/":   "s3 b p/q ",
		"dir:/x/y":      "dir b0 p0 /x/y",
		"dir:x":         "dir b0 p0 x",
		"/x/y":          "dir b0 p0 /x/y",
		"./x":           "dir b0 p0 ./x",
		"x":             "dir b0 p0 x",
		"":              "",
		"s3://":         "",
		"s3:///p":       "",
		"s3://b//":      "",
		"s3://b/p//q":   "",
		"s3://b/p?x=1":  "",
		"s3://k:s@b/p":  "",
		"s3://b:9000/p": "",
		"gs://b/p":      "",
		"http://h/b":    "",
		"dir:":          "",
		"dir:/a\nb":     "",
		"s3://b/p\x00":  "",
	} {
		got, err := was.At(url)
		switch text := strings.Join([]string{got.Backend, got.S3.Bucket, got.S3.Prefix, got.Dir}, " "); {
		case want == "":
			if err == nil || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("%q: %q, %v", url, text, err)
			}
		case strings.HasPrefix(want, "s3") && (err != nil || text != want+"old"), strings.HasPrefix(want, "dir") && (err != nil || text != want):
			t.Errorf("%q: %q, %v, want %q", url, text, err, want)
		case got.S3.Endpoint != "https://h" || got.S3.Region != "r":
			t.Errorf("%q: what it does not say has changed: %+v", url, got.S3)
		}
	}
}

// A ledger that is restored goes on in the bucket it came from, and a reader reads the bucket it is given.
func TestTheBucketIsTheTier(t *testing.T) {
	environ := []string{"SCRIBE_TIER_S3_ENDPOINT=http://h:1"}
	for _, args := range []string{"--restore-from s3://b/p", "--read-only --bucket s3://b/p",
		"--initial-cluster 1=h:1 --restore-fetch --restore-from s3://b/p"} {
		c := mustLoad(t, strings.Fields(args), environ, "")
		if c.Tier.Backend != "s3" || c.Tier.S3.Bucket != "b" || c.Tier.S3.Prefix != "p" || c.Tier.S3.Endpoint != "http://h:1" {
			t.Errorf("%s: %+v", args, c.Tier)
		}
	}
	// The same store in other words, or one that a reader does not use.
	same := append(environ, "SCRIBE_TIER_BACKEND=s3", "SCRIBE_TIER_S3_BUCKET=b", "SCRIBE_TIER_S3_PREFIX=p")
	mustLoad(t, []string{"--restore-from", "s3://b/p/"}, same, "")
	mustLoad(t, []string{"--restore-from", "s3://b/p"}, append(environ, "SCRIBE_TIER_BACKEND=s3"), "")
	mustLoad(t, []string{"--restore-from", "s3://b/p"}, append(environ, "SCRIBE_TIER_S3_PREFIX=p", "SCRIBE_TIER_DIR=/y"), "")
	mustLoad(t, []string{"--restore-from", "/x/"}, []string{"SCRIBE_TIER_DIR=/x"}, "")
	if c := mustLoad(t, []string{"--read-only", "--bucket", "s3://other"}, same, ""); c.Tier.S3.Bucket != "other" {
		t.Errorf("%+v", c.Tier)
	}
}

func TestCredentialsFromFiles(t *testing.T) {
	files := map[string]string{"id": "AKIA\n", "secret": "hunter2\r\n", "empty": "\n", "lines": "hunter2\nhunter2\n",
		"long": strings.Repeat("hunter2", 1000)}
	read := func(name string) ([]byte, error) {
		text, ok := files[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}
	const id, secret = "SCRIBE_TIER_S3_ACCESS_KEY_ID", "SCRIBE_TIER_S3_SECRET_ACCESS_KEY"
	c, err := Load(nil, []string{id + "_FILE=id", secret + "_FILE=secret"}, read)
	if err != nil || c.Tier.S3.AccessKeyID != "AKIA" || c.Tier.S3.SecretAccessKey.Reveal() != "hunter2" {
		t.Fatalf("%+v, %v", c.Tier.S3, err)
	}
	if c, err = Load(nil, []string{id + "=AKIA", secret + "_FILE=secret"}, read); err != nil ||
		c.Tier.S3.SecretAccessKey.Reveal() != "hunter2" {
		t.Fatal(err)
	}
	for _, bad := range []struct{ environ, want string }{
		{id + "_FILE=id " + secret + "_FILE=empty", "empty: must hold the value of tier.s3.secret_access_key on one line"},
		{id + "_FILE=id " + secret + "_FILE=lines", "lines: must hold"},
		{id + "_FILE=id " + secret + "_FILE=long", "long: must hold"},
		{id + "_FILE=id " + secret + "_FILE=none", "none: there is no such file; give an existing one with tier.s3.secret_access_key_file"},
		{id + "_FILE=id " + secret + "_FILE=secret " + secret + "=x", secret + "_FILE: and tier.s3.secret_access_key are both set"},
		{id + "_FILE=id", id + "_FILE: needs tier.s3.secret_access_key beside it"},
		{secret + "_FILE=secret", secret + "_FILE: needs tier.s3.access_key_id beside it"},
	} {
		_, err := Load(nil, strings.Fields(bad.environ), read)
		var typed *Error
		if !errors.As(err, &typed) || !strings.Contains(err.Error(), bad.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad.environ, err)
		}
	}
}
