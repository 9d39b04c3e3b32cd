package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
)

func (a *app) get() *cobra.Command {
	var output, seq, asOfSeq, asOfTime string
	var stale bool
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Write a key's value to standard output",
		Long:  `Get writes the bytes of the newest version of KEY, or of an earlier one, to standard output or to a file.`,
		Example: `  scribe get greeting
  scribe get docs/plan.pdf --output plan.pdf
  scribe get greeting --seq 12
  scribe get greeting --as-of-time 2026-11-22T10:00:00Z
  scribe get greeting --bucket s3://archive/ledger`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE`")
	cmd.Flags().StringVar(&seq, "seq", "", "exactly the version with this seq")
	cmd.Flags().StringVar(&asOfSeq, "as-of-seq", "", "the newest version at or before this seq")
	cmd.Flags().StringVar(&asOfTime, "as-of-time", "", "the newest version at or before this time, RFC 3339")
	cmd.Flags().BoolVar(&stale, "stale", false, "read the answering node's state, even if it lags behind")
	cmd.MarkFlagsMutuallyExclusive("seq", "as-of-seq", "as-of-time")
	return a.reading(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		version, err := selector(seq, asOfSeq, asOfTime)
		if err != nil {
			return err
		}
		v, err := c.Get(ctx, args[0], client.GetOptions{Version: version, Consistency: client.Consistency{Stale: stale}})
		if err != nil {
			return fmt.Errorf("%s: %w", display(args[0]), err)
		}
		if output == "" {
			_, err = a.stdout.Write(v.Data)
			return err
		}
		return writeOutput(output, v.Data)
	})
}

func selector(seq, asOfSeq, asOfTime string) (client.Selector, error) {
	if seq != "" {
		n, err := parseSeq("--seq", seq)
		return client.AtSeq(n), err
	}
	if asOfSeq != "" {
		n, err := parseSeq("--as-of-seq", asOfSeq)
		return client.AsOfSeq(n), err
	}
	if asOfTime == "" {
		return client.Selector{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, asOfTime)
	if err != nil {
		return client.Selector{}, &usageError{"--as-of-time takes a time such as 2026-11-22T10:00:00Z"}
	}
	return client.AsOfTime(t), nil
}

func parseSeq(flag, text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, &usageError{flag + " takes a whole number, not " + strconv.Quote(text)}
	}
	return n, nil
}

// optionalSeq is nil for the empty text.
func optionalSeq(flag, text string) (*uint64, error) {
	if text == "" {
		return nil, nil
	}
	n, err := parseSeq(flag, text)
	return &n, err
}

// writeOutput writes to a file in place, not beside it and over it by a rename, as it may be a device or a pipe.
func writeOutput(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
