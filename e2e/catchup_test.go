package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The metrics of what is fetched, as sent and as received.
const (
	sentBytes     = "scribe_transport_sent_bytes_total"
	receivedBytes = "scribe_transport_received_bytes_total"
	ofBulk        = `class="bulk"`
)

// TestCatchUp: a node that was down while much was written and the log was trimmed comes back by fetching little more
// than the segments that it misses, also when it is killed on the way, or the one it fetches from.
func TestCatchUp(t *testing.T) {
	if raceEnabled {
		*catchUp = min(*catchUp, 16)
	}
	missed := int64(*catchUp) << 20
	var slow []string
	for _, v := range []struct {
		name             string
		receiver, sender bool // who is killed midway
		full             bool // only when much is written
	}{
		{name: "undisturbed", full: true},
		{name: "receiver killed", receiver: true, full: true},
		{name: "sender killed", sender: true, full: true},
		{name: "both killed", receiver: true, sender: true},
	} {
		if v.full && missed < 512<<20 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			// Gigabytes that are still being written, and freed, hold up the next test's syncs by half a second and more.
			t.Cleanup(unix.Sync)
			// As a server does by default; slower where little is written, so that there is a midway.
			rate := min(32<<20, max(16<<20, missed/16))
			c := formCluster(t, clusterOptions{env: []string{"SCRIBE_STORAGE_SEAL_BYTES=4MiB", "SCRIBE_STORAGE_WAL_FILE_BYTES=1MiB",
				"SCRIBE_STORAGE_KEEP_LOG_BYTES=2MiB", fmt.Sprintf("SCRIBE_RAFT_SNAPSHOT_BYTES_PER_SECOND=%d", rate)}})
			c.fill("before", 8<<20, c.nodes...)
			ratio := c.catchUpOnce(v.name, missed, v.receiver, v.sender)
			if ratio > 1.5 && !(v.receiver && v.sender) { // with both, no quorum is left for a while
				slow = append(slow, fmt.Sprintf("%s: %.2f times", v.name, ratio))
			}
		})
	}
	if *quiet && len(slow) > 0 {
		t.Errorf("the p99 of writes beside a catch-up is more than 1.5 times that without: %s", strings.Join(slow, ", "))
	}
}

// catchUpOnce takes a follower down, writes, and watches it come back. It returns how many times as long as without the
// catch-up writes take beside it, by their p99; 0 unless the machine is quiet.
func (c *cluster) catchUpOnce(name string, missed int64, killReceiver, killSender bool) (ratio float64) {
	t := c.t
	t.Helper()
	late := c.except(c.leader())[0]
	others := c.except(late)
	late.seal()
	c.awaitAgreement(c.nodes...)
	has := make(map[string]bool)
	for _, g := range late.segments() {
		has[g.ID] = true
	}
	at := late.status().LastIndex
	late.stop()
	c.fill(name, missed, others...)
	others[0].seal()
	others[0].compact() // what is merged midway has to be fetched anew
	eventually(t, func() string {
		for _, p := range others {
			if first := p.status().FirstIndex; first <= at {
				return fmt.Sprintf("the log of node %d begins at %d; node %d was down from %d", p.id, first, late.id, at)
			}
		}
		return ""
	})
	want := int64(0)
	for _, g := range others[0].segments() {
		if !has[g.ID] {
			want += int64(g.Bytes)
		}
	}

	// Small writes go on at the others.
	f := c.startTraffic("beside "+name, 4, 1000, others...)
	f.awaitAck(time.Now())
	began := time.Now()
	sent := bulkSent(others)
	late.start()
	fetched := int64(0) // in lives of the late node that are over
	if killReceiver {
		c.awaitFetched(late, want/3)
		late.kill()
		fetched = bulkSent(others) - sent
		t.Logf("%s: node %d killed, %d KiB on the way or there", name, late.id, fetched>>10)
		late.start()
	}
	if killSender {
		c.awaitFetched(late, want/3)
		sender := others[0]
		if others[1].mustMetric(sentBytes, ofBulk) > sender.mustMetric(sentBytes, ofBulk) {
			sender = others[1]
		}
		sender.kill()
		t.Logf("%s: node %d, which sent the most, killed", name, sender.id)
		sender.start()
	}
	eventuallyIn(t, patience+time.Duration(missed/(4<<20))*time.Second, func() string {
		if err := late.ask("/readyz", nil); err != nil {
			return err.Error()
		}
		return ""
	})
	c.awaitReady(c.nodes...)
	took := time.Since(began)
	fetched += int64(late.mustMetric(receivedBytes, ofBulk))
	beside := latencies(sentOnce(f.since(began)))
	caughtUp := time.Now()
	if *quiet {
		for caughtUp.Add(took).After(time.Now()) {
			f.awaitAck(time.Now())
		}
	}
	f.end()
	t.Logf("%s: %d KiB fetched for %d KiB of segments, %.1f%%, in %v", name, fetched>>10, want>>10,
		100*float64(fetched)/float64(want), took.Round(time.Millisecond))
	t.Logf("%s: writes beside it: p50 %v, p99 %v of %d", name, quantile(beside, 0.5), quantile(beside, 0.99), len(beside))
	slack := want / 50
	if killReceiver || killSender {
		slack = want/20 + 8<<20 // what was on the way, and chunks that were cut off
	}
	if fetched > want+slack+1<<20 || fetched < want*9/10 {
		t.Errorf("%s: %d bytes were fetched for segments of %d", name, fetched, want)
	}
	if *quiet {
		// With as many nodes, which all do their usual work on this machine, and no catch-up.
		without := latencies(sentOnce(f.since(caughtUp)))
		ratio = float64(quantile(beside, 0.99)) / float64(quantile(without, 0.99))
		t.Logf("%s: writes without it: p50 %v, p99 %v of %d; beside it the p99 is %.2f times that", name,
			quantile(without, 0.5), quantile(without, 0.99), len(without), ratio)
	}
	c.awaitAgreement(c.nodes...)
	late.audit()
	return ratio
}

// sentOnce leaves out the writes that were sent again: a node was killed under them, and the time they took is that of
// the failover, which has a test of its own.
func sentOnce(acks []ack) []ack {
	return slices.DeleteFunc(acks, func(a ack) bool { return a.attempts > 1 })
}

// awaitFetched waits until a node has received so much.
func (c *cluster) awaitFetched(p *peer, bytes int64) {
	c.t.Helper()
	eventuallyIn(c.t, patience+time.Duration(bytes/(4<<20))*time.Second, func() string {
		got, err := p.metric(receivedBytes, ofBulk)
		if err == nil && int64(got) < bytes {
			err = fmt.Errorf("node %d has fetched %v of %d", p.id, got, bytes)
		}
		if err != nil {
			return err.Error()
		}
		return ""
	})
}

func bulkSent(nodes []*peer) (sum int64) {
	for _, p := range nodes {
		v, err := p.metric(sentBytes, ofBulk)
		if err == nil { // a node that has sent nothing yet has none
			sum += int64(v)
		}
	}
	return sum
}

// fill writes so many bytes that cannot be compressed.
func (c *cluster) fill(name string, bytes int64, nodes ...*peer) {
	c.t.Helper()
	const size, clients = 256 << 10, 8
	body := noise(size, name)
	var running sync.WaitGroup
	for id := range clients {
		client := clientOf(c.t)
		running.Go(func() {
			value := append([]byte(nil), body...)
			for i := id; int64(i)*size < bytes && !c.t.Failed(); i += clients {
				// Another value each time, and no block of it like another value's.
				for at := 0; at+8 <= size; at += 64 {
					copy(value[at:], fmt.Sprintf("%08x", i+at))
				}
				key := fmt.Sprintf("%s/%d", name, i)
				for n := 0; ; n++ {
					p := nodes[(i+n)%len(nodes)]
					a, v, err := p.attempt(client, patience, "PUT", "/v1/kv/"+url.PathEscape(key), value, "Idempotency-Key", key)
					if v == answered && a.status == 201 {
						break
					}
					if v == answered || v == nonsense || n > 1000 {
						c.t.Errorf("fill: %+v, %v", a, err)
						return
					}
					time.Sleep(10 * time.Millisecond) // there was no room; a client's manners
				}
			}
		})
	}
	running.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// audit reads the whole ledger of a node without keeping it, and checks every leaf and the root.
func (p *peer) audit() {
	p.c.t.Helper()
	st := p.status()
	req, err := http.NewRequest("GET", p.url("/v1/entries"), nil)
	if err != nil {
		p.c.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var leaves []hash
	d := json.NewDecoder(resp.Body)
	for {
		var e entry
		if err := d.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			p.c.t.Fatal(err)
		}
		leaf := leafHash(e.record(p.c.t))
		if e.Seq != uint64(len(leaves)) || unhex(p.c.t, e.LeafHash) != leaf {
			p.c.t.Fatalf("entry %d at place %d, leaf %s, want %x", e.Seq, len(leaves), e.LeafHash, leaf)
		}
		leaves = append(leaves, leaf)
	}
	if uint64(len(leaves)) < st.TreeSize || treeRoot(leaves[:st.TreeSize]) != unhex(p.c.t, st.Root) {
		p.c.t.Fatalf("node %d has %d entries, their root is not %s at %d", p.id, len(leaves), st.Root, st.TreeSize)
	}
}
