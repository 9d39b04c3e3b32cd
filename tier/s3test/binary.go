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

// gateway is the import path of the server's main package.
const gateway = "github.com/versity/versitygw/cmd/versitygw"

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

// Binary returns the path of versitygw, in .bin of the module, after building it if it is older than tools/go.mod. Tests
// of several packages may ask at once: one builds, the others wait for it.
func Binary() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, ".bin")
	path := filepath.Join(bin, "versitygw")
	if current(path, root) {
		return path, nil
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	lock, err := waitLock(filepath.Join(bin, ".versitygw.lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if current(path, root) { // whoever had the lock has built it
		return path, nil
	}
	return path, build(root, path)
}

// current says whether the binary is there, and not older than what pins it.
func current(path, root string) bool {
	bin, err := os.Stat(path)
	if err != nil {
		return false
	}
	pin, err := os.Stat(filepath.Join(root, "tools", "go.mod"))
	return err == nil && !bin.ModTime().Before(pin.ModTime())
}

// build makes the binary under another name and renames it, so that nobody starts half of one.
func build(root, path string) error {
	temp := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(temp)
	cmd := exec.Command("go", "build", "-o", temp, gateway)
	cmd.Dir = filepath.Join(root, "tools")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("s3test: build %s: %w\n%s", gateway, err, out)
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
