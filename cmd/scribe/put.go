package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
)

// maxValueBytes bounds what is read into memory for a put: no ledger takes more.
const maxValueBytes = 64 << 20

func (a *app) put() *cobra.Command {
	var o client.PutOptions
	var ifMatch, ifNoneMatch string
	cmd := &cobra.Command{
		Use:   "put KEY [VALUE | - | @FILE]",
		Short: "Append a version of a key",
		Long: `Put appends a version of KEY and prints its receipt once the write is durable.

The value is VALUE, the bytes of FILE for @FILE, or standard input for - and when none is given. A value that begins
with @, or is a single -, goes through standard input.`,
		Example: `  scribe put greeting 'hello, world'
  scribe put docs/plan.pdf @plan.pdf --content-type application/pdf
  date | scribe put now -
  scribe put config/a new --if-match 12
  scribe put config/b first --if-none-match '*'`,
		Args: cobra.RangeArgs(1, 2),
	}
	cmd.Flags().StringVar(&o.ContentType, "content-type", "", "stored with the value")
	cmd.Flags().StringVar(&o.IdempotencyKey, "idempotency-key", "", "to repeat a write whose outcome is unknown")
	addConditions(cmd, &ifMatch, &ifNoneMatch)
	return a.command(cmd, func(ctx context.Context, c *client.Client, args []string) (err error) {
		if o.If, err = condition(ifMatch, ifNoneMatch); err != nil {
			return err
		}
		value, err := a.value(args[1:])
		if err != nil {
			return err
		}
		r, err := c.Put(ctx, args[0], value, o)
		if err != nil {
			return fmt.Errorf("%s: %w", display(args[0]), err)
		}
		return a.receipt(args[0], r)
	})
}

func (a *app) del() *cobra.Command {
	var o client.DeleteOptions
	var ifMatch string
	cmd := &cobra.Command{
		Use:   "del KEY",
		Short: "Delete a key by appending a tombstone",
		Long: `Del appends a tombstone for KEY and prints its receipt. Earlier versions stay readable by their seq. A key
without a live version is an error, and nothing is appended.`,
		Example: `  scribe del greeting
  scribe del greeting --if-match 12`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&o.IdempotencyKey, "idempotency-key", "", "to repeat a write whose outcome is unknown")
	cmd.Flags().StringVar(&ifMatch, "if-match", "", "only when the newest version is the one with this `SEQ`")
	return a.command(cmd, func(ctx context.Context, c *client.Client, args []string) (err error) {
		if o.If, err = condition(ifMatch, ""); err != nil {
			return err
		}
		r, err := c.Delete(ctx, args[0], o)
		if err != nil {
			return fmt.Errorf("%s: %w", display(args[0]), err)
		}
		return a.receipt(args[0], r)
	})
}

func addConditions(cmd *cobra.Command, ifMatch, ifNoneMatch *string) {
	cmd.Flags().StringVar(ifMatch, "if-match", "", "only when the newest version is the one with this `SEQ`")
	cmd.Flags().StringVar(ifNoneMatch, "if-none-match", "", "with `'*'`: only when the key has no live version")
	cmd.MarkFlagsMutuallyExclusive("if-match", "if-none-match")
}

func condition(ifMatch, ifNoneMatch string) (client.Condition, error) {
	switch {
	case ifNoneMatch == "*":
		return client.IfAbsent(), nil
	case ifNoneMatch != "":
		return client.Condition{}, &usageError{"--if-none-match takes '*' only"}
	case ifMatch == "":
		return client.Condition{}, nil
	}
	seq, err := strconv.ParseUint(strings.Trim(ifMatch, `"`), 10, 64)
	if err != nil {
		return client.Condition{}, &usageError{"--if-match takes the seq of a version, a whole number"}
	}
	return client.IfSeq(seq), nil
}

// value is the value that the arguments after the key stand for.
func (a *app) value(args []string) ([]byte, error) {
	switch {
	case len(args) == 0 && a.isTerminal(a.stdin):
		return nil, &usageError{"put needs a value: VALUE, @FILE, or - for standard input"}
	case len(args) == 0 || args[0] == "-":
		return readAll(a.stdin, "standard input")
	case strings.HasPrefix(args[0], "@"):
		f, err := os.Open(args[0][1:])
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAll(f, f.Name())
	}
	return []byte(args[0]), nil
}

func readAll(r io.Reader, name string) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(r, maxValueBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(value) > maxValueBytes {
		return nil, errors.New(name + " has more than 64 MiB, the most that a value can have")
	}
	return value, nil
}

// receipt prints what a write appended.
func (a *app) receipt(key string, r client.Receipt) error {
	if !a.json {
		_, err := fmt.Fprintf(a.stdout, "entry %d  %s  %s  leaf %s\n",
			r.Seq, r.Time.Format(timeLayout), display(key), r.LeafHash)
		return err
	}
	return json.NewEncoder(a.stdout).Encode(struct {
		Seq      uint64 `json:"seq"`
		Time     string `json:"time"`
		LeafHash string `json:"leaf_hash"`
		jsonKey
		Size uint64 `json:"size"`
	}{r.Seq, r.Time.Format(timeLayout), r.LeafHash.String(), keyJSON(key), r.Size})
}
