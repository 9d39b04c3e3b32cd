package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
)

func (a *app) members() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "members",
		Short: "List the members of the cluster",
		Long:  `Members lists the members of the cluster as the node that is asked knows them; scribe status asks each of them.`,
		Example: `  scribe members
  scribe members --json`,
		Args: cobra.NoArgs,
	}
	return a.commandWith(cmd, impatient(), func(ctx context.Context, c *client.Client, _ []string) error {
		members, err := c.Members(ctx)
		if err != nil {
			return err
		}
		return a.memberList(members)
	})
}

func (a *app) join() *cobra.Command {
	var m client.NewMember
	cmd := &cobra.Command{
		Use:   "join NODE_ID",
		Short: "Make a node a member of the cluster",
		Long: `Join makes a node a member: first as a learner, that gets the ledger and no vote, and as a voter once it has caught
up. A node that is started with --join asks for this by itself, so this command is for adding one before it is started.
It succeeds when the change is committed, and when the node is a member already.`,
		Example: `  scribe join 4 --raft-addr 10.0.0.4:9001 --http-addr 10.0.0.4:8001
  scribe join 5 --raft-addr 10.0.0.5:9001 --http-addr 10.0.0.5:8001 --learner`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&m.RaftAddr, "raft-addr", "", "the node's raft address, `HOST:PORT`")
	cmd.Flags().StringVar(&m.HTTPAddr, "http-addr", "", "the node's HTTP address, `HOST:PORT`")
	cmd.Flags().BoolVar(&m.Learner, "learner", false, "it stays a learner, without a vote")
	return a.command(cmd, func(ctx context.Context, c *client.Client, args []string) (err error) {
		if m.NodeID, err = parseNodeID(args[0]); err != nil {
			return err
		}
		if m.RaftAddr == "" {
			return &usageError{"join needs --raft-addr, where the others reach the node"}
		}
		out, err := c.Join(ctx, m)
		return a.changed(fmt.Sprintf("node %d is a member", m.NodeID), out, err)
	})
}

func (a *app) leave() *cobra.Command {
	return a.memberChange("leave NODE_ID", "Remove a member from the cluster",
		`Leave removes a member, living or dead. Its data directory stays as it is, and cannot be used in this cluster again;
its node id can, with an empty directory. The members that remain must be able to commit without it, so replace a
dead member before another one dies.`,
		`  scribe leave 3
  scribe leave 3 --endpoint http://10.0.0.1:8001,http://10.0.0.2:8001`,
		"node %d is no member", (*client.Client).Leave)
}

func (a *app) promote() *cobra.Command {
	return a.memberChange("promote NODE_ID", "Give a learner a vote",
		`Promote makes a learner a voter. It must have caught up, or the others would wait for it.`,
		`  scribe promote 4`,
		"node %d has a vote", (*client.Client).Promote)
}

// memberChange is a command that takes a node's id and no more.
func (a *app) memberChange(use, short, long, example, done string,
	change func(*client.Client, context.Context, uint64) (client.Membership, error)) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1)}
	return a.command(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		id, err := parseNodeID(args[0])
		if err != nil {
			return err
		}
		out, err := change(c, ctx, id)
		return a.changed(fmt.Sprintf(done, id), out, err)
	})
}

func (a *app) transfer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "transfer [NODE_ID]",
		Short: "Hand the leadership to another member",
		Long: `Transfer makes a voter the leader: the one named, or the one that is furthest. Writes wait for a moment and none
is lost. A node that is stopped by SIGTERM does this by itself.`,
		Example: `  scribe transfer
  scribe transfer 2`,
		Args: cobra.MaximumNArgs(1),
	}
	return a.command(cmd, func(ctx context.Context, c *client.Client, args []string) (err error) {
		var id uint64
		done := "the leadership has moved"
		if len(args) > 0 {
			if id, err = parseNodeID(args[0]); err != nil {
				return err
			}
			done = fmt.Sprintf("node %d leads", id)
		}
		out, err := c.Transfer(ctx, id)
		return a.changed(done, out, err)
	})
}

func parseNodeID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return 0, &usageError{"a node id is a whole number, 1 or more, not " + strconv.Quote(text)}
	}
	return id, nil
}

// changed prints what a change of the membership came to.
func (a *app) changed(done string, m client.Membership, err error) error {
	switch {
	case err != nil:
		return err
	case a.json:
		return json.NewEncoder(a.stdout).Encode(m)
	}
	fmt.Fprintf(a.stdout, "%s\n\n", done)
	return a.memberList(m.Members)
}

func (a *app) memberList(members []client.Member) error {
	if a.json {
		return json.NewEncoder(a.stdout).Encode(client.Membership{Members: members})
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tROLE\tVOTES\tHTTP\tRAFT")
	for _, m := range members {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", m.NodeID, display(m.Role), yesNo(m.Voter), address(m.HTTPAddr),
			address(m.RaftAddr))
	}
	return w.Flush()
}
