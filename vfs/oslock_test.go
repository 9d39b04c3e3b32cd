//go:build unix

package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLockShared(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	if _, err := (OS{}).LockShared(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no file: %v", err)
	}
	exclusive, err := OS{}.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (OS{}).LockShared(name); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "held by process") {
		t.Errorf("beside the holder: %v", err)
	}
	if err := exclusive.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	a, err := OS{}.LockShared(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := OS{}.LockShared(name)
	if err != nil {
		t.Fatalf("two readers: %v", err)
	}
	if _, err := (OS{}).Lock(name); !errors.Is(err, ErrLocked) {
		t.Errorf("exclusive beside readers: %v", err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(name); err != nil || string(after) != string(before) {
		t.Errorf("the file changed from %q to %q, %v", before, after, err)
	}
	again, err := OS{}.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
