package vfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestBackground: the thread that asked for it yields, and only that one.
func TestBackground(t *testing.T) {
	nice := func() int {
		n, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		if err != nil {
			t.Error(err)
		}
		return 20 - n // as the system call has it: 20 for nice 0, so that it is never negative
	}
	before := nice()
	asked := make(chan int)
	go func() {
		Background()
		asked <- nice()
	}()
	if got := <-asked; got != min(before+backgroundNice, 19) && got != backgroundNice {
		t.Errorf("nice is %d in the background and %d elsewhere", got, before)
	}
	if after := nice(); after != before {
		t.Errorf("nice was %d here and is %d", before, after)
	}
}
