package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
)

func (a *app) history() *cobra.Command {
	var o client.HistoryOptions
	var before string
	cmd := &cobra.Command{
		Use:   "history KEY",
		Short: "List the versions of a key, newest first",
		Long:  `History lists all versions of KEY, newest first, tombstones included.`,
		Example: `  scribe history greeting
  scribe history greeting --limit 10 --before 100
  scribe history greeting --json --values
  scribe history greeting --bucket s3://archive/ledger`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().Uint64Var(&o.Limit, "limit", 0, "list this many at most; 0 is all")
	cmd.Flags().StringVar(&before, "before", "", "only versions with a seq below this")
	cmd.Flags().BoolVar(&o.Values, "values", false, "with --json: with their values")
	return a.reading(cmd, func(ctx context.Context, c *client.Client, args []string) (err error) {
		if o.Before, err = optionalSeq("--before", before); err != nil {
			return err
		}
		o.Values = o.Values && a.json
		if err := a.list(c.History(ctx, args[0], o)); err != nil {
			return fmt.Errorf("%s: %w", display(args[0]), err)
		}
		return nil
	})
}

func (a *app) scan() *cobra.Command {
	var o client.RangeOptions
	var asOf string
	cmd := &cobra.Command{
		Use:   "range",
		Short: "List live keys in order",
		Long: `Range lists the newest live versions of the keys that have PREFIX and stand from START up to, not including,
END. All of it is as of one moment, however long it takes.`,
		Example: `  scribe range --prefix logs/
  scribe range --start a --end m --reverse --limit 20
  scribe range --prefix logs/ --json > logs.ndjson
  scribe range --prefix logs/ --bucket ./scribe-data/cold`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&o.Prefix, "prefix", "", "only keys that begin with this")
	cmd.Flags().StringVar(&o.Start, "start", "", "first key")
	cmd.Flags().StringVar(&o.End, "end", "", "end before this key")
	cmd.Flags().Uint64Var(&o.Limit, "limit", 0, "list this many at most; 0 is all")
	cmd.Flags().BoolVar(&o.Reverse, "reverse", false, "from the last key to the first")
	cmd.Flags().BoolVar(&o.KeysOnly, "keys-only", false, "with --json: leave the values out")
	cmd.Flags().StringVar(&asOf, "as-of-seq", "", "as it was after the entry with this seq")
	return a.reading(cmd, func(ctx context.Context, c *client.Client, _ []string) (err error) {
		if o.AsOfSeq, err = optionalSeq("--as-of-seq", asOf); err != nil {
			return err
		}
		o.KeysOnly = o.KeysOnly || !a.json
		return a.list(c.Range(ctx, o))
	})
}

func (a *app) entries() *cobra.Command {
	var o client.EntriesOptions
	cmd := &cobra.Command{
		Use:   "entries",
		Short: "List the ledger in seq order",
		Long:  `Entries lists the ledger's entries in seq order, the ledger's own segment entries included.`,
		Example: `  scribe entries --limit 20
  scribe entries --from 1000 --json > ledger.ndjson
  scribe entries --bucket s3://archive/ledger --keys-only --json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().Uint64Var(&o.From, "from", 0, "first seq")
	cmd.Flags().Uint64Var(&o.Limit, "limit", 0, "list this many at most; 0 is all")
	cmd.Flags().BoolVar(&o.KeysOnly, "keys-only", false, "with --json: leave the values out")
	return a.reading(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		o.KeysOnly = o.KeysOnly || !a.json
		return a.list(c.Entries(ctx, o))
	})
}

// list prints entries as they come, as a table or as one JSON object a line. The table has a header on a terminal only.
func (a *app) list(entries iter.Seq2[*client.Entry, error]) error {
	out := bufio.NewWriter(a.stdout)
	header := !a.json && a.isTerminal(a.stdout)
	encode := json.NewEncoder(out)
	encode.SetEscapeHTML(false)
	for e, err := range entries {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		if header {
			fmt.Fprintf(out, "%10s  %-27s  %-7s  %12s  %s\n", "SEQ", "TIME", "OP", "BYTES", "KEY")
			header = false
		}
		if a.json {
			err = encode.Encode(e)
		} else {
			_, err = fmt.Fprintf(out, "%10d  %s  %-7s  %12d  %s\n",
				e.Seq, e.Time.Format(timeLayout), e.Op, e.Size, display(e.Key))
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}
