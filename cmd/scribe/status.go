package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
)

// memberTimeout bounds the wait for one member's own word.
const memberTimeout = 2 * time.Second

// impatient is for what every node answers from memory: one that does not is passed over, be it there or not.
func impatient() client.Options { return client.Options{Rounds: 2, AttemptTimeout: memberTimeout} }

func (a *app) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell how the cluster and its members are",
		Long: `Status asks a node for the members of its cluster, and then every member, at the other endpoints and at the HTTP
addresses that the cluster has of them, how it is itself. MATCH and LAG, in log entries, and HEALTHY are the leader's
word; STATE and APPLIED are each member's own.`,
		Example: `  scribe status
  scribe status --endpoint http://10.0.0.2:8001 --json`,
		Args: cobra.NoArgs,
	}
	return a.commandWith(cmd, impatient(), func(ctx context.Context, c *client.Client, _ []string) error {
		first, err := c.Status(ctx)
		if err != nil {
			return err
		}
		view := askMembers(ctx, first, a.places(first))
		if a.json {
			return a.statusJSON(view)
		}
		return a.statusTable(view)
	})
}

// places are the URLs at which members may be: the endpoints, and the addresses that the cluster has, in the endpoints'
// scheme.
func (a *app) places(s *client.Status) []string {
	urls, scheme := a.endpoints(), "http"
	if len(urls) > 0 && strings.HasPrefix(strings.TrimSpace(urls[0]), "https://") {
		scheme = "https"
	}
	for _, m := range s.Members {
		if m.HTTPAddr != "" && m.NodeID != s.NodeID {
			urls = append(urls, scheme+"://"+m.HTTPAddr)
		}
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

// clusterView is a cluster as its members tell of it.
type clusterView struct {
	first  *client.Status            // the first answer
	leader *client.Status            // the leader's own, or the first answer if the leader gave none
	own    map[uint64]*client.Status // by node id; none for a member that did not answer
}

// askMembers asks at all places at once.
func askMembers(ctx context.Context, first *client.Status, places []string) clusterView {
	ctx, cancel := context.WithTimeout(ctx, memberTimeout)
	defer cancel()
	answers := make([]*client.Status, len(places))
	var asked sync.WaitGroup
	for i, place := range places {
		asked.Go(func() {
			c, err := client.New([]string{place}, client.Options{Rounds: 1})
			if err != nil {
				return
			}
			defer c.CloseIdleConnections()
			// The node there may be one of another cluster.
			if s, err := c.Status(ctx); err == nil && s.ClusterID == first.ClusterID {
				answers[i] = s
			}
		})
	}
	asked.Wait()
	view := clusterView{first: first, leader: first, own: map[uint64]*client.Status{first.NodeID: first}}
	for _, s := range answers {
		if s != nil {
			view.own[s.NodeID] = s
		}
	}
	for _, s := range view.own {
		if s.Leader == s.NodeID && s.Term >= view.leader.Term {
			view.leader = s
		}
	}
	return view
}

func (a *app) statusTable(v clusterView) error {
	l := v.leader
	leader := "no leader"
	if l.Leader != 0 {
		leader = fmt.Sprintf("leader %d", l.Leader)
	}
	fmt.Fprintf(a.stdout, "cluster %s  %s, term %d\n", display(l.ClusterID), leader, l.Term)
	fmt.Fprintf(a.stdout, "ledger  %d entries, root %s\n", l.TreeSize, l.Root)
	fmt.Fprintf(a.stdout, "log     %d to %d, committed %d\n\n", l.FirstIndex, l.LastIndex, l.CommitIndex)
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tROLE\tHEALTHY\tMATCH\tLAG\tAPPLIED\tHTTP\tRAFT\tSTATE")
	for _, m := range l.Members {
		applied, state := "-", "no answer"
		if own := v.own[m.NodeID]; own != nil {
			applied, state = fmt.Sprint(own.AppliedIndex), stateOf(own)
		}
		healthy, match, lag := "-", "-", "-"
		if l.Leader == l.NodeID || m.NodeID == l.NodeID { // else nobody knows
			healthy, match, lag = yesNo(m.Healthy), fmt.Sprint(m.MatchIndex), fmt.Sprint(m.Lag)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.NodeID, display(m.Role), healthy, match, lag, applied,
			address(m.HTTPAddr), address(m.RaftAddr), state)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if _, known := v.own[l.Leader]; !known && l.Leader != 0 {
		fmt.Fprintf(a.stdout, "\nThe leader did not answer: this is what node %d knows.\n", l.NodeID)
	}
	return nil
}

// address is one as it may stand in a table; empty until the member has told it.
func address(text string) string {
	if text == "" {
		return "-"
	}
	return display(text)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// stateOf is a member's word on itself.
func stateOf(s *client.Status) string {
	state := s.Status
	if s.Detail != "" {
		state += ": " + s.Detail
	}
	if state == "" {
		return "-"
	}
	return display(state)
}

// statusJSON prints the leader's answer, or the first, with what each member said of itself.
func (a *app) statusJSON(v clusterView) error {
	type member struct {
		client.Member
		Answered bool   `json:"answered"`
		Status   string `json:"status,omitempty"`
		Detail   string `json:"detail,omitempty"`
		Applied  uint64 `json:"applied_index"`
	}
	members := make([]member, 0, len(v.leader.Members))
	for _, m := range v.leader.Members {
		out := member{Member: m}
		if own := v.own[m.NodeID]; own != nil {
			out.Answered, out.Status, out.Detail, out.Applied = true, own.Status, own.Detail, own.AppliedIndex
		}
		members = append(members, out)
	}
	return json.NewEncoder(a.stdout).Encode(struct {
		*client.Status
		Root    string   `json:"root"`
		Members []member `json:"members"`
	}{v.leader, v.leader.Root.String(), members})
}
