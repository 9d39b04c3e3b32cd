// Scribe is the command-line client of a Scribe Ledger: put, get, del, history, range, entries, verify, status,
// members, join, leave, promote, transfer, compact, tier, scrub; and, offline, on the files of a node, inspect and fsck. What
// reads can also read the ledger's archive in an object store, with no server; inspect shows it, and fsck checks it.
//
// It exits with 0 when all went well, 1 when something failed, was not found or did not verify, 2 for a mistake on the
// command line, and 5 when fsck found damage. An error is one line on standard error: what, where, and what to do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/scribe-ledger/scribe/vfs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{
		stdin:      os.Stdin,
		stdout:     os.Stdout,
		stderr:     os.Stderr,
		getenv:     os.Getenv,
		environ:    os.Environ(),
		isTerminal: func(f any) bool { file, ok := f.(*os.File); return ok && term.IsTerminal(int(file.Fd())) },
		fs:         vfs.NewOS(),
		lock:       vfs.NewOS().LockShared,
	}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
