package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// metric adds up all values of a metric whose labels hold all of these texts, such as `class="bulk"`. It is an error that
// there is none.
func (p *peer) metric(name string, labels ...string) (float64, error) {
	resp, err := quick.Get("http://" + p.addr + "/metrics/prometheus")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	sum, found := 0.0, false
	lines := bufio.NewScanner(bytes.NewReader(b))
next:
	for lines.Scan() {
		series, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(series, l) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("node %d has no metric %s %v", p.id, name, labels)
	}
	return sum, lines.Err()
}

// mustMetric is metric for the test's own goroutine and a node that answers.
func (p *peer) mustMetric(name string, labels ...string) float64 {
	p.c.t.Helper()
	v, err := p.metric(name, labels...)
	if err != nil {
		p.c.t.Fatal(err)
	}
	return v
}
