package s3store_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/s3store"
)

// TestChainIsSilent: what the SDK meets while it looks for credentials is in the error, and not on standard error.
func TestChainIsSilent(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	defer refuses.Close()
	dir := t.TempDir()
	for name, value := range map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": refuses.URL, "HOME": dir,
		"AWS_CONFIG_FILE": filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"),
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
		"AWS_EC2_METADATA_DISABLED": ""} {
		t.Setenv(name, value)
	}
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	stderr := os.Stderr
	os.Stderr = said
	defer func() { os.Stderr = stderr }()
	s, err := s3store.New(s3store.Options{Bucket: "b", Endpoint: refuses.URL, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Get(t.Context(), "k", 0, tier.Rest); err == nil {
		t.Error("credentials were found")
	}
	if b, err := os.ReadFile(said.Name()); err != nil || len(b) > 0 {
		t.Errorf("on standard error: %s, %v", b, err)
	}
}
