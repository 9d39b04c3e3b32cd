package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
)

func (a *app) compact() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "compact",
		Short: "Merge segments",
		Long: `Compact merges neighbouring segments, as the cluster also does by itself, and waits until nothing more is due. Nothing is
dropped: reads have fewer places to look in. With --full as few segments are left as storage.compact_max_bytes allows.`,
		Example: `  scribe compact
  scribe compact --full`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&full, "full", false, "leave as few segments as the limits allow")
	return a.command(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		r, err := c.Compact(ctx, full)
		if err != nil {
			return err
		}
		if a.json {
			return json.NewEncoder(a.stdout).Encode(r)
		}
		_, err = fmt.Fprintf(a.stdout, "%d segments merged into %d; %d segments\n", r.Merged, len(r.Segments), r.Left)
		return err
	})
}
