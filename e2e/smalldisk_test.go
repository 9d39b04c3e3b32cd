package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk is a tmpfs of a few megabytes.
type smallDisk struct {
	holder *exec.Cmd // lives as long as the test, and the mount namespace with it; nil when the mount is in the test's own
	mount  string    // where it is, in that namespace
	enter  []string  // the command that runs another one in there
}

// mountSmallDisk mounts a tmpfs in whatever way this machine allows: in a mount namespace of its own, in one of a user
// namespace, or with sudo. Where none of them is, the test fails: what it is about would go untested.
func mountSmallDisk(t *testing.T, size string) *smallDisk {
	t.Helper()
	d, alone := holdSmallDisk(t, size)
	if alone == nil {
		return d
	}
	d, mapped := holdSmallDisk(t, size, "-U", "-r")
	if mapped == nil {
		return d
	}
	d, asked := sudoSmallDisk(t, size)
	if asked == nil {
		return d
	}
	t.Fatalf("this test needs a small tmpfs, and may not mount one here: run it as root, or where user namespaces may be "+
		"made or sudo asks for no password (in a container: with CAP_SYS_ADMIN)\nin a mount namespace: %v\n"+
		"in a user namespace: %v\nwith sudo: %v", alone, mapped, asked)
	return nil
}

// holdSmallDisk mounts one in a mount namespace, which a process holds that ends with the test.
func holdSmallDisk(t *testing.T, size string, flags ...string) (*smallDisk, error) {
	t.Helper()
	d := &smallDisk{mount: t.TempDir()}
	script := fmt.Sprintf("mount -t tmpfs -o size=%s none %s && echo mounted && exec cat", size, d.mount)
	d.holder = exec.Command("unshare", append(flags, "-m", "sh", "-c", script)...)
	in, err := d.holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, complaint := &output{}, &output{}
	d.holder.Stdout, d.holder.Stderr = said, complaint
	if err := d.holder.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = d.holder.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		in.Close()
		<-ended
	})
	for {
		_, grown := said.find("mounted")
		if grown == nil {
			break
		}
		select {
		case <-grown:
		case <-ended:
			return nil, fmt.Errorf("%v: %s", d.holder.ProcessState, strings.TrimSpace(complaint.tail(1<<10)))
		}
	}
	d.enter = []string{"nsenter", "-t", fmt.Sprint(d.holder.Process.Pid), "-m"}
	if len(flags) > 0 {
		d.enter = append(d.enter, "-U", "--preserve-credentials")
	}
	return d, nil
}

// sudoSmallDisk mounts one where all processes see it, until the test ends.
func sudoSmallDisk(t *testing.T, size string) (*smallDisk, error) {
	t.Helper()
	d := &smallDisk{mount: t.TempDir()}
	sudo := func(args ...string) error {
		if out, err := exec.Command("sudo", append([]string{"-n"}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
		}
		return nil
	}
	options := fmt.Sprintf("size=%s,mode=0700,uid=%d,gid=%d", size, os.Getuid(), os.Getgid())
	if err := sudo("mount", "-t", "tmpfs", "-o", options, "none", d.mount); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := sudo("umount", d.mount); err != nil {
			t.Error(err)
		}
	})
	return d, nil
}

// inside is a path on the disk, as those see it who are in there.
func (d *smallDisk) inside(name string) string { return filepath.Join(d.mount, name) }

// outside is a path on the disk as the test sees it.
func (d *smallDisk) outside(name string) string {
	if d.holder == nil {
		return d.inside(name)
	}
	return filepath.Join("/proc", fmt.Sprint(d.holder.Process.Pid), "root", d.mount, name)
}

// fill takes all space that is left.
func (d *smallDisk) fill(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(d.outside("ballast"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 64<<10); len(piece) > 0; {
		if _, err := f.Write(piece); errors.Is(err, syscall.ENOSPC) {
			piece = piece[:len(piece)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// take takes some space, and returns the file that does.
func (d *smallDisk) take(t *testing.T, bytes int) string {
	t.Helper()
	name := d.outside("other")
	if err := os.WriteFile(name, make([]byte, bytes), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// space is what is free.
func (d *smallDisk) space(t *testing.T) uint64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(d.outside("."), &st); err != nil {
		t.Fatal(err)
	}
	return st.Bavail * uint64(st.Bsize)
}

// free gives the space back.
func (d *smallDisk) free(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.outside("ballast")); err != nil {
		t.Fatal(err)
	}
}
