package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
	"github.com/scribe-ledger/scribe/tlog"
)

func (a *app) verify() *cobra.Command {
	var seq, state, value string
	var o client.VerifyOptions
	cmd := &cobra.Command{
		Use:   "verify KEY",
		Short: "Check that a version is in the ledger, with the client's own code",
		Long: `Verify fetches the proof of the newest version of KEY, or of the one with --seq, and checks it step by step
without trusting what the server says of it: the record, the value's hash, the leaf, its place in the ledger tree and,
once sealed, in its segment tree.

That alone shows an answer that agrees with itself. With --state FILE the newest checkpoint ever seen is kept in FILE,
and every later one must continue it: from then on no entry below it can have been changed or dropped unnoticed. The
first checkpoint is trusted, so keep the file. Checkpoints are not signed yet: compare the root with somebody else's to
know that you are shown the same ledger.`,
		Example: `  scribe verify greeting
  scribe verify greeting --state ledger.checkpoint
  scribe verify greeting --seq 12 --value @greeting.txt
  scribe verify big/file --no-value --json
  scribe verify greeting --bucket s3://archive/ledger --state ledger.checkpoint`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&seq, "seq", "", "the version with this seq, not the newest")
	cmd.Flags().StringVar(&state, "state", "", "keep the newest checkpoint seen in `FILE`")
	cmd.Flags().StringVar(&value, "value", "", "the value it must have, not read from the server: `VALUE`, - or @FILE")
	cmd.Flags().BoolVar(&o.NoValue, "no-value", false, "do not read the value to check its hash")
	cmd.MarkFlagsMutuallyExclusive("value", "no-value")
	return a.reading(cmd, func(ctx context.Context, c *client.Client, args []string) (err error) {
		if o.Seq, err = optionalSeq("--seq", seq); err != nil {
			return err
		}
		if o.HasValue = cmd.Flags().Changed("value"); o.HasValue {
			if o.Value, err = a.value([]string{value}); err != nil {
				return err
			}
		}
		if state != "" {
			var pin tlog.Checkpoint
			if pin, err = readState(a.fs, state); err != nil {
				return err
			}
			c.SetPin(pin)
		}
		e, err := c.Verify(ctx, args[0], o)
		if err == nil && state != "" {
			err = writeState(a.fs, state, c.Pin())
		}
		printed := a.report(args[0], e, err == nil)
		if err != nil {
			return fmt.Errorf("%s: %w", display(args[0]), err)
		}
		return printed
	})
}

// report prints what was checked. Of a proof that failed it prints the steps before; the error is the caller's to
// print.
func (a *app) report(key string, e *client.Evidence, ok bool) error {
	if e == nil {
		return nil
	}
	if a.json {
		return a.reportJSON(key, e, ok)
	}
	for _, s := range e.Steps {
		fmt.Fprintf(a.stdout, "ok    %-10s  %s\n", s.Name, s.Detail)
	}
	if !ok {
		_, err := fmt.Fprintln(a.stdout, "FAIL")
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "%s: entry %d of %s is in the ledger of %d entries, root %s\n",
		a.verdict(e), e.Record.Seq, display(key), e.Checkpoint.Size, e.Checkpoint.Root)
	return err
}

// verdict tells a root that was checked against an earlier one from a root that only the server, or the archive, vouches
// for.
func (a *app) verdict(e *client.Evidence) string {
	switch {
	case e.Pinned:
		return "verified"
	case a.offline:
		return "verified against the archive's own checkpoint"
	}
	return "verified against the server's own root"
}

func (a *app) reportJSON(key string, e *client.Evidence, ok bool) error {
	type step struct {
		Name   string `json:"name"`
		Detail string `json:"detail"`
	}
	steps := make([]step, len(e.Steps))
	for i, s := range e.Steps {
		steps[i] = step{s.Name, s.Detail}
	}
	return json.NewEncoder(a.stdout).Encode(struct {
		jsonKey
		Verified     bool   `json:"verified"`
		Seq          uint64 `json:"seq"`
		TreeSize     uint64 `json:"tree_size"`
		Root         string `json:"root"`
		ValueChecked bool   `json:"value_checked"`
		Pinned       bool   `json:"pinned"`
		Sealed       bool   `json:"sealed"`
		Steps        []step `json:"steps"`
	}{keyJSON(key), ok, e.Record.Seq, e.Checkpoint.Size, e.Checkpoint.Root.String(), e.ValueChecked, e.Pinned,
		e.Segment != nil, steps})
}
