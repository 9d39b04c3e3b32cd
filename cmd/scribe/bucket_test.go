package main

import (
	"strings"
	"testing"
)

// TestBucketHasNoSuchKey: what an archive does not have is told as a node tells it, with the store for the one that answers.
func TestBucketHasNoSuchKey(t *testing.T) {
	s := newShelf(t)
	for _, tc := range [][2]string{{"nothing", "key_not_found: "}, {"greeting", "key_not_found: the key was deleted"}} {
		for _, name := range []string{"get", "history"} {
			if name == "history" && tc[0] == "greeting" {
				continue // which has one
			}
			code, _, stderr := s.run(name, tc[0], "--bucket", s.url)
			want := "scribe: " + name + ": " + tc[0] + ": " + s.url + " answered 404 " + tc[1]
			if code != exitFailure || !strings.HasPrefix(stderr, want) || strings.Contains(stderr, "http") {
				t.Errorf("exit status %d, %q, not %q", code, stderr, want)
			}
		}
	}
}
