package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
)

// patient is for what takes as long as there is to upload, or to read.
func patient() client.Options { return client.Options{Rounds: 1, AttemptTimeout: 24 * time.Hour} }

func (a *app) tier() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tier",
		Short: "Upload what is sealed to the object store, or see how that is",
		Long: `Tier has the leader upload every segment that has no object yet, whatever its age, read each back, and publish the
archive; it answers when that is done, and any node may be asked. Nodes do the same by themselves, every
tier.policy.interval, for segments as old as tier.policy.min_age. Entries that are in no segment yet stay where they are: POST
/v1/admin/seal makes a segment of them.`,
		Example: `  scribe tier
  scribe tier status
  scribe tier evict --endpoint http://10.0.0.2:8001`,
		Args: cobra.NoArgs,
	}
	a.commandWith(cmd, patient(), func(ctx context.Context, c *client.Client, _ []string) error {
		return a.tierRound(ctx, c, false)
	})
	cmd.AddCommand(a.tierStatus(), a.tierEvict())
	return cmd
}

func (a *app) tierEvict() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evict",
		Short: "Give up every local file whose object is verified",
		Long: `Evict does what scribe tier does, and then gives up every file of the node that answers whose segment has a verified
object in the store and is not pinned. What is read of them comes from the store from then on.`,
		Example: `  scribe tier evict
  scribe tier evict --endpoint http://10.0.0.2:8001 --json`,
		Args: cobra.NoArgs,
	}
	return a.commandWith(cmd, patient(), func(ctx context.Context, c *client.Client, _ []string) error {
		return a.tierRound(ctx, c, true)
	})
}

func (a *app) tierRound(ctx context.Context, c *client.Client, evict bool) error {
	r, err := c.Tier(ctx, evict)
	if err != nil {
		return err
	}
	if a.json {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	p := &printer{w: a.stdout}
	p.printf("uploaded  %s, %s\n", count(len(r.Uploaded), "segment", "segments"), sizeText(r.UploadedBytes))
	p.printf("evicted   %s, %s\n", count(len(r.Evicted), "segment", "segments"), sizeText(r.EvictedBytes))
	p.printf("waiting   %s\n", count(r.Waiting, "segment", "segments"))
	p.printf("archive   %s\n", published(r.Published))
	return p.err
}

func (a *app) tierStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell how the cold tier of a node is",
		Long: `Status asks a node for what it knows of its cold tier; the store itself is not asked. The problem is why nothing is
uploaded or evicted at the moment. What waits is due and has no verified object yet; it stays on the disk until then.`,
		Example: `  scribe tier status
  scribe tier status --endpoint http://10.0.0.2:8001 --json`,
		Args: cobra.NoArgs,
	}
	return a.commandWith(cmd, impatient(), func(ctx context.Context, c *client.Client, _ []string) error {
		s, err := c.TierStatus(ctx)
		if err != nil {
			return err
		}
		if a.json {
			return json.NewEncoder(a.stdout).Encode(s)
		}
		p := &printer{w: a.stdout}
		p.printf("store     %s\n", printable(s.Store))
		if s.Report != "" {
			p.printf("report    %s\n", printable(s.Report))
		}
		if s.Problem != "" {
			p.printf("problem   %s\n", printable(s.Problem))
		}
		p.printf("local     %s, %s\n", count(s.LocalSegments, "segment", "segments"), sizeText(s.LocalBytes))
		p.printf("cold      %s, %s\n", count(s.ColdSegments, "segment", "segments"), sizeText(s.ColdBytes))
		waiting := count(s.Waiting, "segment", "segments")
		if s.Waiting > 0 {
			waiting += fmt.Sprintf(", %s, the oldest for %v", sizeText(s.WaitingBytes), s.WaitingAge().Round(time.Second))
		}
		p.printf("waiting   %s\n", waiting)
		at := ""
		if s.Published > 0 && s.PublishedAt != "" {
			at = ", at " + printable(s.PublishedAt)
		}
		p.printf("archive   %s%s\n", published(s.Published), at)
		return p.err
	})
}

// published is how far the archive in the store goes.
func published(size uint64) string {
	if size == 0 {
		return "nothing published yet"
	}
	return fmt.Sprintf("entries 0 to %d", size-1)
}

func (a *app) scrub() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scrub",
		Short: "Read all segments again and check them",
		Long: `Scrub has a node read every copy of every segment that it has, in files and in the object store, against their hashes, and
repair a damaged one from another copy: a peer's, the store's, its own. Nodes also do this by themselves, at
tier.scrub_bytes_per_second. Exit status: 5 when damage was found that could not be repaired.`,
		Example: `  scribe scrub
  scribe scrub --endpoint http://10.0.0.2:8001 --json`,
		Args: cobra.NoArgs,
	}
	return a.commandWith(cmd, patient(), func(ctx context.Context, c *client.Client, _ []string) error {
		r, err := c.Scrub(ctx)
		if err != nil {
			return err
		}
		if err := a.printScrub(r); err != nil {
			return err
		}
		bad := 0
		for _, f := range r.Findings {
			if !f.Repaired {
				bad++
			}
		}
		if bad > 0 {
			return &statusError{exitDamage, count(bad, "copy is", "copies are") + " damaged and not repaired"}
		}
		return nil
	})
}

func (a *app) printScrub(r client.ScrubResult) error {
	if a.json {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	fmt.Fprintf(a.stdout, "%s and %s read, %s: %s\n", count(r.Segments, "file", "files"),
		count(r.Objects, "object", "objects"), sizeText(r.Bytes), count(len(r.Findings), "finding", "findings"))
	if len(r.Findings) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEGMENT\tFILE\tOFFSET\tREASON\tREPAIRED")
	for _, f := range r.Findings {
		repaired := "no"
		if f.Repaired {
			repaired = "from " + orDash(printable(f.From))
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", printable(f.Segment), printable(f.File), f.Offset, printable(f.Reason), repaired)
	}
	return w.Flush()
}
