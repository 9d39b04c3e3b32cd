package s3test

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the server end when the test's process does, however that ends.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
