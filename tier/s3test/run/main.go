// Command run starts an S3 server for a person to try the cold tier against, and says how to reach it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/scribe-ledger/scribe/tier/s3test"
)

func main() {
	dir := flag.String("data", "scribe-s3", "directory of the server's data, which outlives it")
	port := flag.Int("port", 7070, "port on 127.0.0.1")
	flag.Parse()
	if err := run(*dir, *port); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string, port int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	s, err := s3test.Run(s3test.VersityGW, abs, port)
	if err != nil {
		return err
	}
	defer s.Stop()
	fmt.Printf(`%s
data in            %s

A node that uses it:

  SCRIBE_TIER_BACKEND=s3 SCRIBE_TIER_S3_ENDPOINT=%s SCRIBE_TIER_S3_BUCKET=%s \
  SCRIBE_TIER_S3_ACCESS_KEY_ID=%s SCRIBE_TIER_S3_SECRET_ACCESS_KEY=%s SCRIBE_TIER_S3_PATH_STYLE=true \
  .bin/scribe-node

Ctrl-C stops the server.
`, s, abs, s.Endpoint, s.Bucket, s.AccessKey, s.SecretKey)
	select {
	case <-ctx.Done():
		return nil
	case <-s.Done():
		return fmt.Errorf("the server ended by itself: %s", s.Log())
	}
}
