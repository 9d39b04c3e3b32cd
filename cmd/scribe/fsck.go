package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/fsck"
	"github.com/scribe-ledger/scribe/vfs"
)

// lockName is the file in a data directory that its node holds locked.
const lockName = "LOCK"

// statusError ends the command with a status of its own.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

func (a *app) fsck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fsck DATA_DIR",
		Short: "Check a data directory for damage, offline",
		Long: `Fsck reads a whole data directory and reports what is damaged: every checksum of segments, log and manifest, the
order of keys and seqs, indexes and filters, every leaf hash and root computed again, the ledger's records of its segments,
and whether log, manifest and segments belong together. Per finding it tells the file, the offset, what is lost and what
to do. It changes nothing, and needs no more memory for more data.

No node may use the directory; to check one that runs, check a snapshot that the file system makes of its directory. A torn
end of the log and files that a crash left are no damage.

Exit status: 0 clean, 5 damage, 1 something could not be read, 2 a mistake on the command line.`,
		Example: `  scribe fsck ./scribe-data
  scribe fsck /var/lib/scribe --json | jq '.findings[] | .file, .lost'
  scribe fsck /snapshots/scribe-2026-11-22`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.began = true
		return a.runFsck(cmd.Context(), filepath.ToSlash(filepath.Clean(args[0])))
	}
	return cmd
}

func (a *app) runFsck(ctx context.Context, dir string) error {
	held, err := a.lock(path.Join(dir, lockName))
	switch {
	case errors.Is(err, vfs.ErrLocked):
		return fmt.Errorf("%w: a node uses this directory; stop it, or check a snapshot of the directory", err)
	case err == nil:
		defer held.Close() // no node starts on it meanwhile
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	progress, done := a.progress("checking")
	report, err := fsck.Check(ctx, fsck.Options{FS: a.fs, Dir: dir, Progress: progress})
	done()
	if err != nil {
		return err
	}
	if a.json {
		encode := json.NewEncoder(a.stdout)
		encode.SetEscapeHTML(false)
		err = encode.Encode(report)
	} else {
		err = printReport(a.stdout, report)
	}
	switch {
	case err != nil:
		return err
	case report.Damaged > 0:
		return &statusError{exitDamage, fmt.Sprintf("%s in %s", count(report.Damaged, "damage", "damages"), dir)}
	case report.Unread > 0:
		return fmt.Errorf("%s in %s could not be read", count(report.Unread, "thing", "things"), dir)
	}
	return nil
}

// progress returns what moves a progress bar and what takes it away. Both do nothing unless a person watches.
func (a *app) progress(what string) (move func(done, total int64), end func()) {
	if a.json || !a.isTerminal(a.stderr) {
		return nil, func() {}
	}
	var bar *progressbar.ProgressBar
	move = func(done, total int64) {
		if bar == nil {
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(a.stderr), progressbar.OptionShowBytes(true),
				progressbar.OptionSetDescription(what), progressbar.OptionThrottle(100*time.Millisecond),
				progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
		}
		_ = bar.Set64(done) // a bar that cannot be drawn is no reason to stop
	}
	return move, func() {
		if bar != nil {
			_ = bar.Finish()
		}
	}
}

func printReport(w io.Writer, r *fsck.Report) error {
	out := &printer{w: w}
	for _, f := range r.Findings {
		out.printf("%-10s  %s", strings.ToUpper(string(f.Severity)), display(f.File))
		if f.Offset > 0 {
			out.printf(" at %d", f.Offset)
		}
		out.printf("\n            %s\n", printable(f.Problem))
		if f.Lost != "" {
			out.printf("      lost  %s\n", printable(f.Lost))
		}
		if f.Do != "" {
			out.printf("        do  %s\n", printable(f.Do))
		}
		out.printf("\n")
	}
	if r.Omitted > 0 {
		out.printf("%d more findings are not listed\n\n", r.Omitted)
	}
	out.printf("directory  %s, node %d of cluster %s\n", display(r.Dir), r.NodeID, orDash(r.ClusterID))
	out.printf("segments   %d, %d of %d entries read, root %s\n", r.Checked.Segments, r.Checked.Entries, r.Entries, orDash(r.Root))
	out.printf("log        %s, %s, term %d, committed %d, tail %s\n", count(r.Checked.LogFiles, "file", "files"),
		indexes(r.Log.First, r.Log.Last), r.Log.Term, r.Log.Commit, orDash(r.Log.Tail))
	verdict := "clean"
	if !r.Clean {
		verdict = "NOT CLEAN"
	}
	out.printf("result     %s: %d damaged, %d unreadable, %s\n", verdict, r.Damaged, r.Unread,
		count(r.Notices, "notice", "notices"))
	return out.err
}
