package s3store_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/s3store"
	"github.com/scribe-ledger/scribe/tier/s3test"
	"github.com/scribe-ledger/scribe/tier/storetest"
	"go.uber.org/goleak"
)

// server is the one server of all tests of this package; each has a prefix of its own.
var server *s3test.Server

// kind is the server that the suite runs against; make test-minio sets the other one.
var kind = flag.String("s3", s3test.VersityGW, "the S3 server to test against: versitygw or minio")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "scribe-s3")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if server, err = s3test.Run(*kind, dir, 0); err != nil {
		fmt.Fprintln(os.Stderr, "the tests need an S3 server:", err)
		return 1
	}
	defer server.Stop()
	return m.Run()
}

var prefixes atomic.Int64

// options are those of an empty store in the server's bucket.
func options() s3store.Options {
	return s3store.Options{
		Bucket: server.Bucket, Prefix: fmt.Sprintf("test-%d", prefixes.Add(1)), Region: server.Region,
		Endpoint: server.Endpoint, PathStyle: true,
		AccessKeyID: server.AccessKey, SecretAccessKey: server.SecretKey,
		PartBytes: 5 << 20, Parallel: 6, Timeout: 10 * time.Second,
	}
}

func open(t testing.TB, opts s3store.Options) *s3store.Store {
	t.Helper()
	s, err := s3store.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	ignore := goleak.IgnoreCurrent() // the server's
	storetest.Run(t, storetest.Kit{
		Open: func(t testing.TB) tier.Store { return open(t, options()) },
		OpenLocked: func(t testing.TB) tier.Store {
			opts := options()
			opts.Bucket, opts.LockMode, opts.Retention = server.LockedBucket, "governance", time.Hour
			return open(t, opts)
		},
		Large:        12<<20 + 5,
		ExactUploads: *kind == s3test.MinIO,
	})
	goleak.VerifyNone(t, ignore)
}

// In a bucket with versions the same promises hold.
func TestStoreWithVersions(t *testing.T) {
	storetest.Run(t, storetest.Kit{
		Open: func(t testing.TB) tier.Store {
			opts := options()
			opts.Bucket = server.LockedBucket
			return open(t, opts)
		},
		Large:        5<<20 + 1,
		ExactUploads: *kind == s3test.MinIO,
	})
}

func TestPreconditionsOfTheServer(t *testing.T) {
	bad := func(change func(*s3store.Options)) tier.Store {
		opts := options()
		change(&opts)
		return open(t, opts)
	}
	for _, c := range []struct {
		what  string
		store tier.Store
		want  error
	}{
		{"no bucket", bad(func(o *s3store.Options) { o.Bucket = "nothere" }), tier.ErrNoBucket},
		{"a wrong secret", bad(func(o *s3store.Options) { o.SecretAccessKey = "wrong" }), tier.ErrRefused},
		{"an unknown key id", bad(func(o *s3store.Options) { o.AccessKeyID = "nobody" }), tier.ErrRefused},
	} {
		ctx := t.Context()
		_, gerr := c.store.Get(ctx, "k", 0, 10)
		_, herr := c.store.Head(ctx, "k")
		_, perr := c.store.Put(ctx, "k", tier.BytesBody([]byte("x")), tier.PutOptions{})
		_, lerr := c.store.Put(ctx, "k", tier.BytesBody(make([]byte, 6<<20)), tier.PutOptions{})
		_, ierr := c.store.List(ctx, "", "", 0)
		_, uerr := c.store.Uploads(ctx, "", tier.Upload{}, 0)
		for op, err := range map[string]error{"get": gerr, "head": herr, "put": perr, "large put": lerr, "list": ierr,
			"uploads": uerr, "delete": c.store.Delete(ctx, "k")} {
			if _, again := tier.Temporary(err); !errors.Is(err, c.want) || errors.Is(err, tier.ErrNotFound) || again {
				t.Errorf("%s with %s: %v, a retry can help: %v", op, c.what, err, again)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	for what, change := range map[string]func(*s3store.Options){
		"no bucket":        func(o *s3store.Options) { o.Bucket = "" },
		"a bucket path":    func(o *s3store.Options) { o.Bucket = "a/b" },
		"half credentials": func(o *s3store.Options) { o.SecretAccessKey = "" },
		"tiny parts":       func(o *s3store.Options) { o.PartBytes = 1 << 20 },
		"endless parts":    func(o *s3store.Options) { o.Parallel = 1000 },
		"odd prefix":       func(o *s3store.Options) { o.Prefix = "/a/" },
		"endpoint":         func(o *s3store.Options) { o.Endpoint = "localhost:9000" },
		"lock for no time": func(o *s3store.Options) { o.LockMode = "compliance" },
		"unknown lock":     func(o *s3store.Options) { o.LockMode, o.Retention = "maybe", time.Hour },
		"encryption":       func(o *s3store.Options) { o.Encryption = "rot13" },
	} {
		opts := options()
		change(&opts)
		if _, err := s3store.New(opts); !errors.Is(err, tier.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPreflight(t *testing.T) {
	for _, locked := range []bool{false, true} {
		opts := options()
		if locked {
			opts.Bucket = server.LockedBucket
		}
		s := open(t, opts)
		r, err := tier.Preflight(t.Context(), s, "node-1", true)
		if err != nil {
			t.Fatal(err)
		}
		want := s.Name() + " has all that is needed"
		if !locked {
			want = s.Name() + " lacks Object Lock"
		}
		if r.String() != want || r.Usable() != locked {
			t.Errorf("%s, usable %v; want %s", r, r.Usable(), want)
		}
		if page, err := s.List(t.Context(), "", "", 0); err != nil || len(page.Objects) > 0 {
			t.Errorf("it left %v, %v", page.Objects, err)
		}
		if page, err := s.Uploads(t.Context(), "", tier.Upload{}, 0); err != nil || len(page.Uploads) > 0 {
			t.Errorf("it left %v, %v", page.Uploads, err)
		}
	}
	opts := options()
	opts.Bucket = "nothere"
	if r, err := tier.Preflight(t.Context(), open(t, opts), "node-1", false); !errors.Is(err, tier.ErrNoBucket) {
		t.Errorf("no bucket: %s, %v", r, err)
	}
	opts = options()
	opts.Endpoint = "http://127.0.0.1:1" // nobody listens there
	_, err := tier.Preflight(t.Context(), open(t, opts), "node-1", false)
	if _, again := tier.Temporary(err); !again {
		t.Errorf("no server: %v", err)
	}
}

// TestLockByTheServersClock: what the server's retention keeps is locked though the retention has just ended by the clock of
// the node, which may be ahead of the server's; long behind the end a refusal has another reason.
func TestLockByTheServersClock(t *testing.T) {
	opts := options()
	opts.Bucket, opts.LockMode, opts.Retention = server.LockedBucket, "governance", time.Hour
	s := open(t, opts)
	if _, err := s.Put(t.Context(), "k", tier.BytesBody([]byte("v")), tier.PutOptions{Sealed: true}); err != nil {
		t.Fatal(err)
	}
	for ahead, locked := range map[time.Duration]bool{0: true, 61 * time.Minute: true, 2 * time.Hour: false} {
		opts.Now = func() time.Time { return time.Now().Add(ahead) }
		if err := open(t, opts).Delete(t.Context(), "k"); err == nil || errors.Is(err, tier.ErrLocked) != locked {
			t.Errorf("%v ahead: %v; locked %v", ahead, err, locked)
		}
	}
}
