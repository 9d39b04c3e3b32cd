package cold

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scribe-ledger/scribe/bench/dataset"
	"github.com/scribe-ledger/scribe/bench/phase"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tlog"
)

// runBuild loads all entries into a node, waits until its merges are done, and has it upload its segments and publish them. Its
// files stay.
func runBuild(p plan) (figures, error) {
	m, err := p.openMember(p.Dir, dataPrefix, nil, false, func(o *node.Options) {
		o.Tier.MinAge = 1000 * time.Hour // not before it is asked to
		o.Ledger.CompactBytesPerSecond = -1
	})
	if err != nil {
		return nil, err
	}
	const loaders, batch = 4, 1000
	err = phase.Together(loaders, (p.Entries+batch-1)/batch, func(i int) error {
		return m.load(i*batch, min(batch, p.Entries-i*batch))
	})
	if err == nil {
		err = m.settle()
	}
	var r node.TierResult
	if err == nil {
		r, err = m.Tier(context.Background(), false)
	}
	if err == nil && (r.Waiting > 0 || r.Published < uint64(p.Entries)) {
		err = fmt.Errorf("not all is published: %+v", r)
	}
	var out figures
	out.add("segments", float64(len(r.Uploaded)))
	out.add("segments, MiB", float64(r.UploadedBytes)/(1<<20))
	return out, errors.Join(err, m.end())
}

func (m *member) load(first, n int) error {
	ops := make([]ledger.WriteOp, n)
	kv := make([]byte, 0, n*dataset.EntryBytes)
	for i := range n {
		at := len(kv)
		kv = dataset.AppendValue(dataset.AppendKey(kv, uint64(first+i)), uint64(first+i))
		ops[i] = ledger.WriteOp{Op: tlog.OpPut, Key: kv[at : at+dataset.KeyBytes], Value: kv[at+dataset.KeyBytes:]}
	}
	_, err := m.Write(context.Background(), &ledger.Command{Ops: ops})
	return err
}

// settle seals what is in memory, and waits for the merges that are due.
func (m *member) settle() error {
	if _, err := m.Seal(context.Background()); err != nil {
		return err
	}
	for idle := 0; idle < 5; time.Sleep(100 * time.Millisecond) {
		if err := m.Ledger().CompactError(); err != nil {
			return err
		}
		if idle++; !m.Ledger().MergesDone() || len(m.Ledger().MergesLeft(false)) > 0 {
			idle = 0
		}
	}
	return nil
}
