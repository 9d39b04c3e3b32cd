// Command run starts an S3 server for a person to try the cold tier against, and says how to reach it. With a command
// behind its flags it runs that, with nodes it starts configured for the server, and ends the server behind it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/scribe-ledger/scribe/tier/s3test"
)

func main() {
	dir := flag.String("data", "scribe-s3", "directory of the server's data, which outlives it; empty for one that does not")
	port := flag.Int("port", 7070, "port on 127.0.0.1; 0 for a free one")
	flag.Parse()
	if err := run(*dir, *port, flag.Args()); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			os.Exit(exit.ExitCode()) // the command has said why
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string, port int, command []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "scribe-s3-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	s, err := s3test.Run(s3test.VersityGW, abs, port)
	if err != nil {
		return err
	}
	defer s.Stop()
	if len(command) > 0 {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.Env = append(os.Environ(), s.Environ()...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return cmd.Run()
	}
	fmt.Printf(`%s
data in            %s

A node that uses it, and uploads what it seals at once:

  %s \
  SCRIBE_TIER_POLICY_MIN_AGE=0 .bin/scribe-node

and, from another terminal:

  curl -X POST http://127.0.0.1:8001/v1/admin/seal   # makes a segment of what is in memory
  .bin/scribe tier          # uploads every segment that is not there yet
  .bin/scribe tier status
  .bin/scribe tier evict    # gives up every local file that may go

Ctrl-C, or kill %d, stops the server.
`, s, abs, strings.Join(s.Environ(), " \\\n  "), os.Getpid())
	select {
	case <-ctx.Done():
		return nil
	case <-s.Done():
		return fmt.Errorf("the server ended by itself: %s", s.Log())
	}
}
