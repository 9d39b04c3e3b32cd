package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on a terminal, and nothing elsewhere.
type progress struct{ bar *progressbar.ProgressBar }

func (d *demo) progress(what string, total int64) progress {
	f, ok := d.log.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(d.log, "%s …\n", what)
		return progress{}
	}
	return progress{progressbar.NewOptions64(total, progressbar.OptionSetWriter(d.log), progressbar.OptionSetDescription(
		fmt.Sprintf("%-10s", what)), progressbar.OptionThrottle(50*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(), progressbar.OptionShowBytes(total > 1<<20))}
}

func (p progress) add(n int64) {
	if p.bar != nil {
		p.bar.Add64(n)
	}
}

func (p progress) finish() {
	if p.bar != nil {
		p.bar.Finish()
	}
}

// say adds a line to the summary.
func (d *demo) say(what, format string, args ...any) {
	d.summary = append(d.summary, fmt.Sprintf("  %-11s %s", what, fmt.Sprintf(format, args...)))
}

func (d *demo) print() {
	fmt.Fprintln(d.out, "Everything that went in came out, and is proven:")
	for _, line := range d.summary {
		fmt.Fprintln(d.out, line)
	}
}

// segments returns how many segments there are and their bytes on disk.
func (d *demo) segments(ctx context.Context) (count int, size int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.node.addr+"/v1/segments", nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	var list struct {
		Segments []struct {
			Bytes int64 `json:"bytes"`
		} `json:"segments"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return 0, 0, fmt.Errorf("segments: %w", err)
	}
	for _, s := range list.Segments {
		size += s.Bytes
	}
	return len(list.Segments), size, nil
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func rate(n int64, d time.Duration) string {
	return fmt.Sprintf("%.1f MiB/s", float64(n)/(1<<20)/d.Seconds())
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
