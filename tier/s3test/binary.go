package s3test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/scribe-ledger/scribe/vfs"
)

// program is a server that tests can run: a main package that a module of tools pins.
type program struct {
	name   string // of the binary in .bin
	module string // directory of the module
	main   string // import path
}

// programs is read only.
var programs = map[string]program{
	VersityGW: {"versitygw", "tools", "github.com/versity/versitygw/cmd/versitygw"},
	MinIO:     {"minio", "tools/minio", "github.com/minio/minio"},
}

// The servers there are.
const (
	VersityGW = "versitygw"
	MinIO     = "minio"
)

// Root returns the directory of this module, found from this file.
func Root() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("s3test: the program does not know its source files")
	}
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if _, err := os.Stat(filepath.Join(root, "tools", "go.mod")); err != nil {
		return "", fmt.Errorf("s3test: %s is not the module's directory: %w", root, err)
	}
	return root, nil
}

// Binary returns the path of a server's program, in .bin of the module, after building it if it is older than the go.mod
// that pins it. Tests of several packages may ask at once: one builds, the others wait for it.
func Binary(kind string) (string, error) {
	p, ok := programs[kind]
	if !ok {
		return "", fmt.Errorf("s3test: there is no server %q", kind)
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, ".bin")
	path, pin := filepath.Join(bin, p.name), filepath.Join(root, p.module, "go.mod")
	if current(path, pin) {
		return path, nil
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	lock, err := waitLock(filepath.Join(bin, "."+p.name+".lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if current(path, pin) { // whoever had the lock has built it
		return path, nil
	}
	return path, build(filepath.Join(root, p.module), p.main, path)
}

// current says whether the binary is there, and not older than what pins it.
func current(path, pin string) bool {
	bin, err := os.Stat(path)
	if err != nil {
		return false
	}
	pinned, err := os.Stat(pin)
	return err == nil && !bin.ModTime().Before(pinned.ModTime())
}

// build makes the binary under another name and renames it, so that nobody starts half of one.
func build(module, pkg, path string) error {
	temp := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(temp)
	cmd := exec.Command("go", "build", "-o", temp, pkg)
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("s3test: build %s: %w\n%s", pkg, err, out)
	}
	now := time.Now() // the linker may take what it wrote from the build cache, with an old time
	if err := os.Chtimes(temp, now, now); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// waitLock takes a lock that another process holds for as long as it builds.
func waitLock(name string) (closer interface{ Close() error }, err error) {
	for end := time.Now().Add(20 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		lock, err := vfs.NewOS().Lock(name)
		if err == nil || !errors.Is(err, vfs.ErrLocked) && !errors.Is(err, fs.ErrExist) {
			return lock, err
		}
		if time.Now().After(end) {
			return nil, err
		}
	}
}
