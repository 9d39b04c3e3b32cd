package open_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/open"
	"github.com/scribe-ledger/scribe/tier/storetest"
	"github.com/scribe-ledger/scribe/vfs"
)

func TestStore(t *testing.T) {
	s3 := config.Default().Tier
	s3.Backend, s3.S3.Bucket, s3.S3.Prefix = "s3", "b", "p/q"
	locked := s3
	locked.S3.ObjectLock = true
	dir := config.Default().Tier
	elsewhere := dir
	elsewhere.Dir = "/mnt/cold"
	for _, c := range []struct {
		tier config.Tier
		name string
	}{
		{s3, "s3://b/p/q"}, {locked, "s3://b/p/q"}, {dir, "dir:/data/cold"}, {elsewhere, "dir:/mnt/cold"},
	} {
		fsys := vfs.NewMem()
		s, err := open.Store(c.tier, open.Options{FS: fsys, DataDir: "/data"})
		if err != nil || s.Name() != c.name {
			t.Errorf("%s: %v, %v", c.name, s, err)
			continue
		}
		if names, err := fsys.List("/"); err == nil && len(names) > 0 {
			t.Errorf("%s: opening it made %v", c.name, names)
		}
		if err := open.Close(s); err != nil {
			t.Error(err)
		}
	}
	none := dir
	none.Backend = "none"
	if s, err := open.Store(none, open.Options{}); s != nil || err != nil || open.Close(s) != nil {
		t.Errorf("%v, %v", s, err)
	}
}

func TestMistakes(t *testing.T) {
	s3 := config.Default().Tier
	s3.Backend, s3.S3.Bucket = "s3", "b"
	for what, change := range map[string]func(*config.Tier){
		"prefix":  func(c *config.Tier) { c.S3.Prefix = "a//b" },
		"bucket":  func(c *config.Tier) { c.S3.Bucket = "a/b" },
		"backend": func(c *config.Tier) { c.Backend = "gcs" },
	} {
		c := s3
		change(&c)
		if s, err := open.Store(c, open.Options{}); s != nil || !errors.Is(err, tier.ErrInvalid) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v", what, s, err)
		}
	}
	if s, err := open.URL("gs://b", s3, open.Options{}); s != nil || !errors.Is(err, tier.ErrInvalid) {
		t.Errorf("%v, %v", s, err)
	}
}

func TestURL(t *testing.T) {
	for url, name := range map[string]string{"s3://b/p/": "s3://b/p", "dir:/x": "dir:/x", "/x": "dir:/x"} {
		s, err := open.URL(url, config.Default().Tier, open.Options{FS: vfs.NewMem()})
		if err != nil || s.Name() != name {
			t.Errorf("%s: %v, %v", url, s, err)
		}
	}
	s, err := open.URL("/nowhere", config.Default().Tier, open.Options{FS: vfs.NewMem(), Existing: true})
	if s != nil || !errors.Is(err, tier.ErrNoBucket) {
		t.Errorf("%v, %v", s, err)
	}
	if advice := tier.Advice(err); !strings.Contains(advice, "tier.dir") {
		t.Errorf("the advice for %v is %q", err, advice)
	}
}

// A folder that can be made later is a store like any other.
func TestFolder(t *testing.T) {
	storetest.Run(t, storetest.Kit{Large: 150_000, Open: func(t testing.TB) tier.Store {
		s, err := open.Store(config.Default().Tier, open.Options{FS: vfs.NewMem(), DataDir: "/data"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}})
}

// While its folder cannot be made, every method of a store fails, and none says that there is no such object; then all work.
func TestFolderComesLater(t *testing.T) {
	fsys := vfs.NewMem()
	f, err := fsys.Create("/mnt") // a file stands where the folder's parent is to be
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c := config.Default().Tier
	c.Dir = "/mnt/cold"
	s, err := open.Store(c, open.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	body := tier.BytesBody([]byte("x"))
	calls := map[string]func() error{
		"put":     func() error { _, err := s.Put(ctx, "k", body, tier.PutOptions{}); return err },
		"replace": func() error { _, err := s.Replace(ctx, "r", body, "", tier.PutOptions{}); return err },
		"get": func() error {
			r, err := s.Get(ctx, "k", 0, tier.Rest)
			if err == nil {
				err = r.Close()
			}
			return err
		},
		"head":    func() error { _, err := s.Head(ctx, "k"); return err },
		"list":    func() error { _, err := s.List(ctx, "", "", 0); return err },
		"uploads": func() error { _, err := s.Uploads(ctx, "", tier.Upload{}, 0); return err },
		"abort":   func() error { return s.AbortUpload(ctx, tier.Upload{Key: "k", ID: "1"}) },
		"delete":  func() error { return s.Delete(ctx, "k") },
	}
	for name, call := range calls {
		var typed *tier.Error
		if err := call(); !errors.As(err, &typed) || errors.Is(err, tier.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := fsys.Remove("/mnt"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"put", "replace", "get", "head", "list", "uploads", "delete"} {
		if err := calls[name](); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A folder that is to be found is not made, and found once it is there.
func TestFolderIsFound(t *testing.T) {
	fsys := vfs.NewMem()
	c := config.Default().Tier
	c.Dir = "/mnt/cold"
	s, err := open.Store(c, open.Options{FS: fsys, Found: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Head(t.Context(), "k"); !errors.Is(err, tier.ErrNoBucket) {
			t.Error(err)
		}
		if _, err := s.Put(t.Context(), "k", tier.BytesBody(nil), tier.PutOptions{}); !errors.Is(err, tier.ErrNoBucket) {
			t.Error(err)
		}
	}
	if names, err := fsys.List("/"); err == nil && len(names) > 0 {
		t.Errorf("%v were made", names)
	}
	if err := fsys.MkdirAll("/mnt/cold"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(t.Context(), "k"); !errors.Is(err, tier.ErrNotFound) {
		t.Error(err)
	}
}
