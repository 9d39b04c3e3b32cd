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
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/vfs"
)

func (a *app) inspect() *cobra.Command {
	in := &inspection{app: a}
	cmd := &cobra.Command{
		Use:   "inspect PATH… | --bucket URL [SEGMENT…]",
		Short: "Show what files of a node or an archive hold, offline",
		Long: `Inspect shows a data directory, a log directory or log file, a segment file, a manifest, or an IDENTITY file. What a
file is, is told by its content, or else by its name. It reads only; of a directory that a node uses it shows the state of
the moment. What is damaged is said, and passed over where that is possible. To check everything, use scribe fsck.

With --bucket URL it shows the ledger's archive in an object store, s3://bucket/prefix, dir:/path or a folder, and needs no
server: the newest checkpoint, the manifest, and every segment with its object; or the SEGMENTs that are named, each by its
id or its object, read by range. Endpoint and credentials of the store are as for a node: SCRIBE_TIER_S3_ENDPOINT and so
on, or the file that SCRIBE_CONFIG names; else the AWS SDK's usual chain.

With --json every line is an object with a "kind": first one that describes the path, then one for each record, entry or
block. Exit status: 0, 1 when something was damaged or could not be read, 2 for a mistake on the command line.`,
		Example: `  scribe inspect ./scribe-data
  scribe inspect ./scribe-data/MANIFEST --json
  scribe inspect ./scribe-data/wal --records --limit 20
  scribe inspect ./scribe-data/segments/*.seg
  scribe inspect ./scribe-data/segments/0000000000000000-00000000000003e7.seg --entries --key greeting
  scribe inspect --bucket s3://archive/ledger
  scribe inspect --bucket ./scribe-data/cold 0000000000000000-00000000000003e7 --blocks --json`,
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().BoolVar(&in.records, "records", false, "list the records of the log")
	cmd.Flags().BoolVar(&in.entries, "entries", false, "list the entries of segments, in key order")
	cmd.Flags().BoolVar(&in.blocks, "blocks", false, "list the data blocks of segments")
	cmd.Flags().Uint64Var(&in.limit, "limit", 0, "list this many at most of each path; 0 is all")
	cmd.Flags().StringVar(&in.key, "key", "", "list only what is about this key; implies --entries and --records")
	url := cmd.Flags().String("bucket", "", "show the archive at this `URL`: s3://bucket/prefix, dir:/path or a folder")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *url == "" && len(args) == 0:
			return &usageError{"give a path, or --bucket with the URL of an archive"}
		case *url != "" && in.records:
			return &usageError{"an archive has no log, and so no --records"}
		}
		a.began = true
		in.byKey = cmd.Flags().Changed("key")
		in.records, in.entries = in.records || in.byKey, in.entries || in.byKey
		in.out = &printer{w: a.stdout}
		var err error
		if *url != "" {
			err = in.bucket(cmd.Context(), *url, args)
		} else {
			err = in.paths(cmd.Context(), args)
		}
		switch {
		case err != nil:
			return err
		case in.out.err != nil:
			return in.out.err
		case in.damages > 0:
			return fmt.Errorf("%s; scribe fsck tells what is lost and what to do", count(in.damages, "damage", "damages"))
		}
		return nil
	}
	return cmd
}

// inspection is one run of inspect.
type inspection struct {
	*app
	out *printer

	records, entries, blocks bool

	limit uint64
	key   string
	byKey bool

	listed  uint64 // of the current path
	damages int
}

// errLimit ends a listing that has come to its limit.
var errLimit = errors.New("limit")

// what a path is.
type pathKind string

const (
	kindDirectory pathKind = "directory" // a data directory
	kindLog       pathKind = "log"
	kindLogFile   pathKind = "log file"
	kindSegment   pathKind = "segment"
	kindManifest  pathKind = "manifest"
	kindIdentity  pathKind = "identity"
)

func (in *inspection) paths(ctx context.Context, names []string) error {
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i > 0 && !in.json {
			in.out.printf("\n")
		}
		if err := in.path(filepath.ToSlash(filepath.Clean(name))); err != nil {
			return err
		}
	}
	return nil
}

func (in *inspection) path(name string) error {
	in.listed = 0
	kind, err := in.kindOf(name)
	if err != nil {
		return err
	}
	switch kind {
	case kindDirectory:
		err = in.directory(name)
	case kindLog:
		err = in.log(name, "")
	case kindLogFile:
		err = in.log(path.Dir(name), path.Base(name))
	case kindSegment:
		err = in.segment(name)
	case kindManifest:
		err = in.manifest(name)
	case kindIdentity:
		err = in.identity(path.Dir(name))
	}
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// kindOf tells what a path is: a directory by the names in it, a file by its first or last bytes, or else by its name.
func (in *inspection) kindOf(name string) (pathKind, error) {
	info, err := in.fs.Stat(name)
	if err != nil {
		return "", err
	}
	if info.IsDir {
		names, err := in.fs.List(name)
		if err != nil {
			return "", err
		}
		switch {
		case slices.Contains(names, "IDENTITY") || slices.Contains(names, "MANIFEST") || slices.Contains(names, "wal"):
			return kindDirectory, nil
		case slices.ContainsFunc(names, func(n string) bool { return n == "origin" || strings.HasSuffix(n, ".log") }):
			return kindLog, nil
		}
		return "", fmt.Errorf("%s: neither a data directory nor that of a log", display(name))
	}
	head, tail, err := in.ends(name, info.Size)
	if err != nil {
		return "", err
	}
	base := path.Base(name)
	switch {
	case head == "SCRIBWAL":
		return kindLogFile, nil
	case head == "SCRBMAN\n":
		return kindManifest, nil
	case tail == "SCRBSEG\n":
		return kindSegment, nil
	case base == "IDENTITY":
		return kindIdentity, nil
	case strings.HasSuffix(base, ".seg"):
		return kindSegment, nil
	case strings.HasSuffix(base, ".log"):
		return kindLogFile, nil
	case base == "MANIFEST":
		return kindManifest, nil
	}
	return "", fmt.Errorf("%s: no file of a node, as far as its content and its name tell", display(name))
}

// ends returns the first and the last 8 bytes of a file, as far as it has them.
func (in *inspection) ends(name string, size int64) (head, tail string, err error) {
	f, err := in.fs.Open(name)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	for _, at := range []struct {
		off int64
		to  *string
	}{{0, &head}, {max(size-8, 0), &tail}} {
		b := make([]byte, min(size, 8))
		if n, err := f.ReadAt(b, at.off); n < len(b) && !errors.Is(err, io.EOF) {
			return "", "", err
		}
		*at.to = string(b)
	}
	return head, tail, nil
}

// damageJSON is one damage.
type damageJSON struct {
	Kind    string `json:"kind"` // damage
	File    string `json:"file"`
	Offset  int64  `json:"offset"`
	Problem string `json:"problem"`
	Lost    string `json:"lost,omitempty"`
}

func (in *inspection) damage(file string, offset int64, lost, problem string) error {
	in.damages++
	d := damageJSON{Kind: "damage", File: file, Offset: offset, Problem: problem, Lost: lost}
	if in.json {
		return in.print(d)
	}
	in.out.printf("DAMAGE  %s at %d: %s\n", display(file), offset, printable(problem))
	if lost != "" {
		in.out.printf("        lost: %s\n", printable(lost))
	}
	return in.out.err
}

// corrupt tells of an error that is damage, and returns any other.
func (in *inspection) corrupt(err error) error {
	var corrupt *vfs.CorruptError
	if !errors.As(err, &corrupt) {
		return err
	}
	return in.damage(corrupt.File, corrupt.Offset, "", corrupt.Reason)
}

func (in *inspection) print(doc any) error {
	encode := json.NewEncoder(in.out.w)
	encode.SetEscapeHTML(false)
	return encode.Encode(doc)
}

// list counts something listed; errLimit when there have been enough.
func (in *inspection) list() error {
	if in.limit > 0 && in.listed == in.limit {
		return errLimit
	}
	in.listed++
	return in.out.err
}

// row prints a name and what it is.
func (in *inspection) row(name, format string, args ...any) {
	in.out.printf("%-14s "+format+"\n", append([]any{name}, args...)...)
}

// locked says whether a node uses a directory.
func (in *inspection) locked(dir string) (bool, error) {
	held, err := in.lock(path.Join(dir, lockName))
	switch {
	case errors.Is(err, vfs.ErrLocked):
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return false, held.Close()
}
