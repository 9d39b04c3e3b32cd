package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/client"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitDamage  = 5 // fsck and scrub only
)

const endpointEnv = "SCRIBE_ENDPOINT"

// app is one run of the command, with everything it has of the world.
type app struct {
	stdin      io.Reader
	stdout     io.Writer
	stderr     io.Writer
	getenv     func(string) string
	environ    []string // all of it, for the settings of object stores
	isTerminal func(any) bool
	fs         vfs.FS                               // of the state file, and of what is read offline
	lock       func(name string) (io.Closer, error) // a shared lock on an existing file

	endpoint string
	json     bool
	offline  bool // it reads an archive, and asks no server
	began    bool // a command has begun, so its errors are no longer about the command line
}

// usageError is a mistake on the command line that only the command itself can see.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var usage *usageError
	text := oneLine(err.Error())
	if !a.began || errors.As(err, &usage) {
		fmt.Fprintf(a.stderr, "scribe: %s; see %s --help\n", text, cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(a.stderr, "scribe: %s: %s%s\n", cmd.Name(), text, advice(err))
	var status *statusError
	if errors.As(err, &status) {
		return status.code
	}
	return exitFailure
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "scribe",
		Short: "Work with a Scribe Ledger",
		Long: `Scribe writes to, reads from and verifies a Scribe Ledger.

A key is taken as the argument's bytes. Exit status: 0 when all went well, 1 when something failed, was not found or
did not verify, 2 for a mistake on the command line, 5 when fsck or scrub found damage.`,
		Example: `  scribe put greeting 'hello, world'
  scribe get greeting
  scribe history greeting
  scribe verify greeting --state ledger.checkpoint
  scribe get greeting --bucket s3://archive/ledger
  SCRIBE_ENDPOINT=http://10.0.0.1:8001,http://10.0.0.2:8001 scribe range --prefix logs/`,
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.endpoint, "endpoint", "",
		"URLs of the ledger's nodes, separated by commas (default $"+endpointEnv+", else "+client.DefaultEndpoint+")")
	flags.BoolVar(&a.json, "json", false, "print JSON, one object a line")
	root.AddCommand(a.put(), a.get(), a.del(), a.history(), a.scan(), a.entries(), a.verify(),
		a.status(), a.members(), a.join(), a.leave(), a.promote(), a.transfer(),
		a.compact(), a.tier(), a.scrub(), a.inspect(), a.fsck())
	return root
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}

// command gives a cobra command its body.
func (a *app) command(cmd *cobra.Command, body func(ctx context.Context, c *client.Client, args []string) error,
) *cobra.Command {
	return a.commandWith(cmd, client.Options{}, body)
}

func (a *app) commandWith(cmd *cobra.Command, o client.Options,
	body func(ctx context.Context, c *client.Client, args []string) error) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := client.New(a.endpoints(), o)
		if err != nil {
			return &usageError{err.Error()}
		}
		defer c.CloseIdleConnections()
		a.began = true
		return body(cmd.Context(), c, args)
	}
	return cmd
}

// endpoints are those that the command line or the environment names; none is the client's default.
func (a *app) endpoints() []string {
	text := a.endpoint
	if text == "" {
		text = a.getenv(endpointEnv)
	}
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// advice is what to do about a failure, as far as that is known.
func advice(err error) string {
	var unknown *client.OutcomeUnknownError
	var dial *net.OpError
	switch {
	case errors.As(err, &unknown):
		return "; repeat it with --idempotency-key " + unknown.IdempotencyKey
	case errors.Is(err, archive.ErrNothingPublished):
		return "; name another bucket, or have scribe tier publish what is sealed"
	case errors.Is(err, tier.ErrNoBucket):
		return "; name another bucket"
	case errors.As(err, new(*vfs.CorruptError)):
		return "; scribe fsck says what is damaged, and what to do"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "; is the node running? name another with --endpoint or " + endpointEnv
	case client.IsCode(err, client.CodePreconditionFailed):
		return "; read the newest version and decide again"
	case client.IsCode(err, client.CodeVersionNotFound):
		return "; scribe history lists the versions"
	case client.IsCode(err, client.CodeOverloaded, client.CodeNoLeader, client.CodeNotReady, client.CodeRateLimited):
		return "; nothing was written, try again"
	case client.IsCode(err, client.CodeColdUnavailable):
		return "; scribe tier status says how the object store is"
	case client.IsCode(err, client.CodeNoColdTier):
		return "; set tier.backend and start the node again"
	case client.IsCode(err, client.CodeCorrupt):
		return "; the node's storage is damaged, see its log"
	}
	return ""
}
