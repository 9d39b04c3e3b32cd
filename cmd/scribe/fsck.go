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
	"github.com/scribe-ledger/scribe/tier/open"
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
		Use:   "fsck DATA_DIR | --bucket URL",
		Short: "Check a data directory or an archive for damage, offline",
		Long: `Fsck reads a whole data directory and reports what is damaged: every checksum of segments, log and manifest, the
order of keys and seqs, indexes and filters, every leaf hash and root computed again, the ledger's records of its segments,
and whether log, manifest and segments belong together. Per finding it tells the file, the offset, what is lost and what
to do. It changes nothing, and needs no more memory for more data.

No node may use the directory; to check one that runs, check a snapshot that the file system makes of its directory. A torn
end of the log and files that a crash left are no damage.

With --bucket URL it checks the ledger's archive in an object store, s3://bucket/prefix, dir:/path or a folder, and needs no
server: every object that the newest manifest names, by size and SHA-256; in it every checksum, the order of entries, and
the root; the tiles, the checkpoints and the root of the whole ledger, computed again from all entries; that what names the
newest publication does; and what is there and belongs to nobody. A cluster may go on publishing meanwhile. Endpoint and
credentials are as for a node: SCRIBE_TIER_S3_ENDPOINT and so on, or the file that SCRIBE_CONFIG names; else the AWS SDK's
usual chain. Objects that were merged away, and not swept yet, are no damage.

Exit status: 0 clean, 5 damage, 1 something could not be read, 2 a mistake on the command line.`,
		Example: `  scribe fsck ./scribe-data
  scribe fsck /var/lib/scribe --json | jq '.findings[] | .file, .lost'
  scribe fsck /snapshots/scribe-2026-11-22
  scribe fsck --bucket s3://archive/ledger
  scribe fsck --bucket ./scribe-data/cold --json`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	bucket := cmd.Flags().String("bucket", "", "check the archive at this `URL`: s3://bucket/prefix, dir:/path or a folder")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (*bucket == "") != (len(args) == 1) {
			return &usageError{"give a data directory, or --bucket with the URL of an archive"}
		}
		if *bucket != "" {
			return a.fsckBucket(cmd.Context(), *bucket)
		}
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
	return a.reportFsck(report, dir)
}

// fsckBucket checks the archive that a URL names.
func (a *app) fsckBucket(ctx context.Context, url string) error {
	a.began, a.offline = true, true
	store, err := a.openBucket(url)
	if err != nil {
		return err
	}
	progress, done := a.progress("checking")
	report, err := fsck.CheckBucket(ctx, fsck.BucketOptions{Store: store, Progress: progress})
	done()
	if err = errors.Join(err, open.Close(store)); err != nil {
		return err
	}
	return a.reportFsck(report, store.Name())
}

// reportFsck prints what a check came to. Its error is the command's status.
func (a *app) reportFsck(report *fsck.Report, what string) (err error) {
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
		return &statusError{exitDamage, fmt.Sprintf("%s in %s", count(report.Damaged, "damage", "damages"), what)}
	case report.Unread > 0:
		return fmt.Errorf("%s in %s could not be read", count(report.Unread, "thing", "things"), what)
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

// printArchive prints what a bucket holds.
func printArchive(out *printer, r *fsck.Report) {
	out.printf("archive    %s, ledger %s, %s\n", display(r.Dir), orDash(r.ClusterID), count(r.Archive.Objects, "object", "objects"))
	out.printf("published  version %d, %s\n", r.Archive.Version, orDash(r.Archive.Manifest))
	out.printf("checkpoint %d entries, root %s\n", r.Archive.CheckpointSize, orDash(r.Archive.CheckpointRoot))
	out.printf("beside     %s, %s, %s\n", count(r.Archive.Manifests, "manifest", "manifests"),
		count(r.Archive.Checkpoints, "checkpoint", "checkpoints"), count(r.Checked.Tiles, "tile", "tiles"))
}

func printReport(w io.Writer, r *fsck.Report) error {
	out := &printer{w: w}
	for _, f := range r.Findings {
		out.printf("%-10s  %s", strings.ToUpper(string(f.Severity)), display(f.File))
		if f.Offset > 0 {
			out.printf(" at %d", f.Offset)
		}
		if f.Section != "" {
			out.printf(" (%s)", f.Section)
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
	if r.Archive != nil {
		printArchive(out, r)
	} else {
		out.printf("directory  %s, node %d of cluster %s\n", display(r.Dir), r.NodeID, orDash(r.ClusterID))
	}
	out.printf("segments   %d, %d of %d entries read, root %s\n", r.Checked.Segments, r.Checked.Entries, r.Entries, orDash(r.Root))
	if r.Archive == nil {
		out.printf("log        %s, %s, term %d, committed %d, tail %s\n", count(r.Checked.LogFiles, "file", "files"),
			indexes(r.Log.First, r.Log.Last), r.Log.Term, r.Log.Commit, orDash(r.Log.Tail))
	}
	verdict := "clean"
	if !r.Clean {
		verdict = "NOT CLEAN"
	}
	out.printf("result     %s: %d damaged, %d unreadable, %s\n", verdict, r.Damaged, r.Unread,
		count(r.Notices, "notice", "notices"))
	return out.err
}
