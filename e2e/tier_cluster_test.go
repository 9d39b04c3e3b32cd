package e2e

import (
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/tier/s3test"
)

// TestTierOfACluster: three nodes share a bucket. Each gives up its files by itself, any of them has the leader upload, also
// after the leader was killed; every node serves all of it, and the bucket has one object for each segment.
func TestTierOfACluster(t *testing.T) {
	store := s3test.Start(t)
	c := formCluster(t, clusterOptions{env: onStore(store)})
	follower := func() *peer { return c.except(c.leader())[0] }
	values := follower().fill("one")
	for _, p := range c.nodes {
		p.evict()
	}
	c.awaitAgreement(c.nodes...)
	for _, p := range c.nodes {
		p.readsBack(values)
	}

	killed := c.leader()
	killed.kill()
	c.awaitReady(c.except(killed)...)
	for key, value := range c.except(killed)[0].fill("two") {
		values[key] = value
	}
	for _, p := range c.except(killed) {
		p.evict()
	}
	killed.start()
	c.awaitReady(c.nodes...)
	c.awaitAgreement(c.nodes...)
	for _, p := range c.nodes {
		p.readsBack(values)
	}
	follower().evict()

	objects, _ := bucketHas(t, store)
	for _, g := range follower().segments() {
		if !objects[g.Object] {
			t.Errorf("segment %s has no object %q", g.ID, g.Object)
		}
		delete(objects, g.Object)
	}
	if len(objects) > 0 {
		t.Errorf("the bucket has more than an object for each segment: %v", fmt.Sprint(objects))
	}
	for _, p := range c.nodes {
		p.stop()
	}
}
