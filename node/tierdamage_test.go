package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestTierDamagedFile: a bit of the leader's file has flipped since it was written. It is not uploaded: the file is made good from a
// peer, and then it is.
func TestTierDamagedFile(t *testing.T) {
	c := newTierCluster(t, 3, nil, nil)
	for _, m := range c.nodes {
		m.lazy["tier"] = true
	}
	c.fill(2)
	lead := c.leader()
	m := c.member(lead.opts.NodeID)
	flip(t, m.fsys, "data/segments/"+lead.ledger.Manifest().Segments[1].ID+".seg", 100) // among the entries
	for _, m := range c.nodes {
		clear(m.lazy)
	}
	c.tick(5)
	if len(c.objects()) > 1 {
		t.Fatalf("uploaded: %q", c.objects())
	}
	if st := lead.TierStatus(); !strings.Contains(st.Problem, "upload: verify the file") {
		t.Fatalf("%+v", st)
	}
	c.until("objects", c.tiered)
	c.checkOneEach()
	c.checkAll()
	if st := lead.TierStatus(); st.Problem != "" {
		t.Fatalf("%+v", st)
	}
}

// TestTierReadsBack: the store keeps something else than it was given, and says that all is well. That is not recorded, and no
// file goes for it.
func TestTierReadsBack(t *testing.T) {
	c := newTierCluster(t, 3, func(o *TierOptions) { o.MaxLocalBytes = 1 }, nil)
	spoilt := ""
	c.asked = func(_ *member, r tier.Request, answered bool) {
		if answered && r.Op == tier.OpPut && strings.HasPrefix(r.Key, tier.SegmentPrefix) && spoilt == "" {
			spoilt = r.Key
			c.store.Tamper(r.Key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}
	}
	c.fill(2)
	c.tick(100)
	lead := c.leader()
	first := lead.ledger.Recorded()[0]
	if tier.SegmentName(first.FirstSeq, first.LastSeq, first.Root) != spoilt || first.Object.Exists() ||
		!lead.ledger.Recorded()[1].Object.Exists() {
		t.Fatalf("%q was spoilt, and recorded is %+v", spoilt, lead.ledger.Recorded())
	}
	for _, m := range c.nodes {
		if p := m.node.ledger.Placed(); p[0].Cold || !p[1].Cold {
			t.Fatalf("node %d: %+v", m.id, p)
		}
	}
	if st := lead.TierStatus(); !strings.Contains(st.Problem, spoilt) {
		t.Fatalf("%+v", st)
	}
	c.checkAll()
}

// TestTierOtherObject: where the segment's object would be stands another one that says of itself that it is the segment. Its
// bytes say otherwise, and it is not recorded.
func TestTierOtherObject(t *testing.T) {
	c := newTierCluster(t, 1, func(o *TierOptions) { o.MaxLocalBytes = 1 }, nil)
	m := c.nodes[0]
	m.lazy["tier"] = true
	c.fill(2)
	placed := m.node.ledger.Placed()
	other, err := vfs.ReadFile(m.fsys, "data/segments/"+tlog.SegmentID(placed[1].FirstSeq, placed[1].LastSeq)+".seg", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	g := &placed[0]
	says := tier.SegmentMetadata{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq, Entries: g.Entries, Root: g.Root,
		MetaOffset: int64(len(other) / 2), MinKey: g.MinKey, MaxKey: g.MaxKey}
	name := tier.SegmentName(g.FirstSeq, g.LastSeq, g.Root)
	if _, err := c.store.Put(context.Background(), name, tier.BytesBody(other), tier.PutOptions{Metadata: says.Metadata()}); err != nil {
		t.Fatal(err)
	}
	clear(m.lazy)
	c.tick(100)
	if r := m.node.ledger.Recorded(); r[0].Object.Exists() || !r[1].Object.Exists() {
		t.Fatalf("recorded are %+v", r)
	}
	if p := m.node.ledger.Placed(); p[0].Cold || !p[1].Cold {
		t.Fatalf("%+v", p)
	}
	if st := m.node.TierStatus(); !strings.Contains(st.Problem, name) {
		t.Fatalf("%+v", st)
	}
	c.checkAll()
}

// TestColdSaysWhatIsThere: the error of an object that is another than recorded names both SHA-256s as they are written.
func TestColdSaysWhatIsThere(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	if _, err := store.Put(t.Context(), "segments/x", tier.BytesBody([]byte("other")), tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	recorded := manifest.Object{Name: "segments/x", Bytes: 5, SHA256: merkle.Hash{1, 2, 3}}
	_, err := NewCold(store, nil).Fetch(t.Context(), recorded, 0, 5)
	there := sha256.Sum256([]byte("other"))
	if !isCorrupt(err) || !strings.Contains(err.Error(), "010203000000") || !strings.Contains(err.Error(), hex.EncodeToString(there[:])) {
		t.Fatal(err)
	}
}
