// Command scribe-node runs one node of a Scribe Ledger.
//
// Exit codes: 0 after a clean end, 1 for a start that is refused or a node that failed, 2 for a configuration that is
// wrong.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/scribe-ledger/scribe/config"
)

const (
	exitFailed        = 1
	exitConfiguration = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is main with its surroundings handed in.
func run(args, environ []string, stdout, stderr io.Writer) int {
	c, err := config.Load(args, environ, os.ReadFile)
	if err != nil {
		fmt.Fprintln(stderr, "scribe-node:", err)
		return exitConfiguration
	}
	switch c.Mode {
	case config.ShowHelp:
		fmt.Fprint(stdout, config.Usage())
		return 0
	case config.ShowVersion:
		fmt.Fprintln(stdout, "scribe-node", version())
		return 0
	case config.CheckConfig:
		fmt.Fprintln(stdout, "configuration is good")
		return 0
	}
	run := serve
	if c.Archive.ReadOnly {
		run = serveArchive
	}
	if err := run(c, stderr); err != nil {
		fmt.Fprintln(stderr, "scribe-node:", err)
		var wrong *config.Error
		if errors.As(err, &wrong) {
			return exitConfiguration
		}
		return exitFailed
	}
	return 0
}

// version is what the build recorded of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
