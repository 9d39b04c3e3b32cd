package cold

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// memory is what this process has resident: all of it, and what is no mapped file.
type memory struct{ all, anonymous int64 }

func resident() (memory, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return memory{}, err
	}
	defer f.Close()
	var m memory
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		v, _ := strconv.ParseInt(words[1], 10, 64) // 0 of lines that hold no number
		switch words[0] {
		case "VmRSS:":
			m.all = v << 10
		case "RssAnon:":
			m.anonymous = v << 10
		}
	}
	if m.all == 0 {
		return m, fmt.Errorf("/proc/self/status does not say what is resident")
	}
	return m, nil
}

// watch samples what is resident until the function it returns is called, which says by how much it has grown at most.
func watch() (growth func() (memory, error), err error) {
	began, err := resident()
	if err != nil {
		return nil, err
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	most := began
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if m, merr := resident(); merr != nil {
				err = merr
			} else {
				most.all, most.anonymous = max(most.all, m.all), max(most.anonymous, m.anonymous)
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return func() (memory, error) {
		close(stop)
		<-ended
		return memory{most.all - began.all, most.anonymous - began.anonymous}, err
	}, nil
}

// quantile returns a duration that the share q does not exceed. It sorts d.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }
