package node

import (
	"testing"

	"github.com/scribe-ledger/scribe/tier"
)

// TestSweepLeavesMends: an object that the scrubber puts again is this node's upload, however long that takes, and none once
// it is over.
func TestSweepLeavesMends(t *testing.T) {
	c := newScrubCluster(t, 1, 2, nil, nil)
	n := c.node(1)
	name := n.ledger.Objects()[0].Object.Name
	c.store.Tamper(name, func(b []byte) []byte { b[60] ^= 1; return b })
	asked := 0
	c.asked = func(_ *member, r tier.Request, answered bool) {
		if r.Op == tier.OpPut && r.Key == name {
			if asked++; !n.tiering.uploading(name) || n.tiering.uploading(n.ledger.Objects()[1].Object.Name) {
				t.Errorf("answered %t: what is being put is not taken for an upload, or what is not is", answered)
			}
		}
	}
	if f := c.found(n); !f.Repaired || asked != 2 {
		t.Fatalf("%+v, asked %d", f, asked)
	}
	if n.tiering.uploading(name) || n.tiering.uploading("") {
		t.Fatal("what was put is taken for an upload")
	}
	c.clean()
}
