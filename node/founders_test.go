package node

import (
	"errors"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// A directory goes on only under the list of founders it was founded with, or under none.
func TestFoundersMustMatch(t *testing.T) {
	fsys := vfs.NewMem()
	opts := testOptions(fsys)
	opts.RaftAddr = "a:1"
	opts.Initial = []Founder{{NodeID: 1, RaftAddr: "a:1"}}
	if err := openNode(t, opts).Close(); err != nil {
		t.Fatal(err)
	}
	for _, other := range [][]Founder{{{NodeID: 1, RaftAddr: "b:1"}}, {{NodeID: 1, RaftAddr: "a:1"}, {NodeID: 2, RaftAddr: "b:1"}}} {
		opts.Initial = other
		var refused *RefusedError
		if n, err := Open(opts); !errors.As(err, &refused) {
			t.Errorf("%v: %v, %v", other, n, err)
		}
	}
	for _, same := range [][]Founder{nil, {{NodeID: 1, RaftAddr: "a:1"}}} {
		opts.Initial = same
		if err := openNode(t, opts).Close(); err != nil {
			t.Error(err)
		}
	}
}
