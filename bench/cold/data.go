package cold

import (
	"bytes"
	"fmt"

	"github.com/scribe-ledger/scribe/bench/dataset"
)

// drawn is the i-th of n numbers below n, in an order that looks random; some come twice.
func drawn(i, n int) uint64 { return dataset.Mix(dataset.Mix(uint64(i)+1)) % uint64(n) }

// checkValue holds what was read of key i against what was written.
func checkValue(i uint64, got []byte) error {
	if want := dataset.AppendValue(nil, i); !bytes.Equal(got, want) {
		return fmt.Errorf("key %d has a wrong value of %d bytes", i, len(got))
	}
	return nil
}
