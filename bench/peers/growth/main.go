// Command growth makes a table and a plot of how the figures of reads grow with the number of entries, out of what the
// engine benchmark printed for each:
//
//	for n in 1000000 3000000 10000000 30000000; do
//	  go test -C bench/peers -run '^$' -bench Engine -timeout 0 ./engine -args -entries $n -phases bulk,open,hot,tenth >$n.txt
//	done
//	go run -C bench/peers ./growth -svg growth.svg *.txt
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

func run(args []string, out, errs io.Writer) error {
	f := flag.NewFlagSet("growth", flag.ContinueOnError)
	f.SetOutput(errs)
	svg := f.String("svg", "", "write the plot to this `file`")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return errors.New("growth: name the files that hold what the benchmark printed, one for each number of entries")
	}
	var sizes []size
	for _, name := range f.Args() {
		s, err := readFile(name)
		if err != nil {
			return fmt.Errorf("growth: %s: %w", name, err)
		}
		sizes = append(sizes, s)
	}
	sortSizes(sizes)
	table(out, sizes)
	if *svg == "" {
		return nil
	}
	return draw(*svg, sizes)
}
