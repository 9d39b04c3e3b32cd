package engine

import "github.com/scribe-ledger/scribe/bench/dataset"

// absentFrom is where the numbers of keys begin that are in no store.
const absentFrom = 1 << 40

// random draws numbers below n, the same ones for either side.
type random struct{ state uint64 }

func (r *random) below(n int) uint64 {
	r.state++
	return dataset.Mix(dataset.Mix(r.state)) % uint64(n)
}
