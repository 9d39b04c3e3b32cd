package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
)

func (a *app) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell how a node and its cluster are",
		Long:  `Status prints a node's view of itself and of its cluster, the size of the ledger and its root.`,
		Example: `  scribe status
  scribe status --endpoint http://10.0.0.2:8001 --json`,
		Args: cobra.NoArgs,
	}
	return a.command(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		if a.json {
			return json.NewEncoder(a.stdout).Encode(struct {
				*client.Status
				Root string `json:"root"`
			}{s, s.Root.String()})
		}
		fmt.Fprintf(a.stdout, "node %d  %s, leader %d, term %d, cluster %s\n",
			s.NodeID, display(s.Role), s.Leader, s.Term, display(s.ClusterID))
		fmt.Fprintf(a.stdout, "ledger  %d entries, root %s\n", s.TreeSize, s.Root)
		fmt.Fprintf(a.stdout, "log     %d to %d, committed %d, applied %d\n",
			s.FirstIndex, s.LastIndex, s.CommitIndex, s.AppliedIndex)
		for _, m := range s.Members {
			health := "healthy"
			if !m.Healthy {
				health = "not healthy"
			}
			_, err = fmt.Fprintf(a.stdout, "member %d  %s, %s, raft %s, http %s, lag %d\n",
				m.NodeID, display(m.Role), health, display(m.RaftAddr), display(m.HTTPAddr), m.Lag)
		}
		return err
	})
}
