package tlog_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/bits"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	sumdb "golang.org/x/mod/sumdb/tlog"
)

const oracleSize = 1024

// testLeaves are n leaves, each different from the others.
func testLeaves(n int) []merkle.Hash {
	leaves := make([]merkle.Hash, n)
	for i := range leaves {
		leaves[i] = merkle.LeafHash(binary.BigEndian.AppendUint64(nil, uint64(i)))
	}
	return leaves
}

// sumdbHashes is the leaves in the form that golang.org/x/mod/sumdb/tlog reads.
func sumdbHashes(t testing.TB, leaves []merkle.Hash) sumdb.HashReaderFunc {
	var stored []sumdb.Hash
	read := sumdb.HashReaderFunc(func(indexes []int64) ([]sumdb.Hash, error) {
		out := make([]sumdb.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	for i, leaf := range leaves {
		hashes, err := sumdb.StoredHashesForRecordHash(int64(i), sumdb.Hash(leaf), read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	return read
}

// At every size the root is the oracle's, and the binary form gives back a frontier that goes on like the original.
func TestFrontierAgrees(t *testing.T) {
	leaves := testLeaves(oracleSize + 1)
	sums := sumdbHashes(t, leaves)
	var f tlog.Frontier
	for n, leaf := range leaves {
		want, err := sumdb.TreeHash(int64(n), sums)
		if err != nil {
			t.Fatal(err)
		}
		if f.Size() != uint64(n) || f.Root() != merkle.Hash(want) {
			t.Fatalf("%d leaves: size %d, root %s, want %s", n, f.Size(), f.Root(), want)
		}
		b := f.Marshal()
		if want := 8 + merkle.HashSize*bits.OnesCount(uint(n)); len(b) != want {
			t.Fatalf("%d leaves: %d bytes, want %d", n, len(b), want)
		}
		restored, err := tlog.UnmarshalFrontier(b)
		if err != nil || restored.Size() != f.Size() || restored.Root() != f.Root() {
			t.Fatalf("%d leaves: restored as %+v, %v", n, restored, err)
		}
		clone := f.Clone()
		f.Append(leaf)
		restored.Append(leaf)
		if restored.Root() != f.Root() {
			t.Fatalf("%d leaves: the restored frontier goes on to root %s, want %s", n, restored.Root(), f.Root())
		}
		if clone.Size() != uint64(n) || clone.Root() != merkle.Hash(want) {
			t.Fatalf("%d leaves: the clone changed with the original", n)
		}
	}
}

// Three leaves: the node over the first two, then the third.
func TestFrontierGolden(t *testing.T) {
	var f tlog.Frontier
	for _, leaf := range testLeaves(3) {
		f.Append(leaf)
	}
	const want = "0000000000000003" +
		"a7d91894b61fbf46378d88e3e1b1f7aef39532c504b484bd31551d15e0a09dff" +
		"d81f51781eeb8f46a0e112e86ca335896ccc12cee00e6cfcf58a3501129dfc24"
	if got := hex.EncodeToString(f.Marshal()); got != want {
		t.Errorf("encoded as %s, want %s", got, want)
	}
}

func TestFrontierRefuses(t *testing.T) {
	var f tlog.Frontier
	for _, leaf := range testLeaves(7) {
		f.Append(leaf)
	}
	b := f.Marshal()
	for n := range b {
		if _, err := tlog.UnmarshalFrontier(b[:n]); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := tlog.UnmarshalFrontier(append(bytes.Clone(b), make([]byte, merkle.HashSize)...)); err == nil {
		t.Error("a node too many is taken")
	}
	for _, size := range []uint64{1<<62 + 1, 1 << 63, ^uint64(0)} {
		b := binary.BigEndian.AppendUint64(nil, size)
		b = append(b, make([]byte, bits.OnesCount64(size)*merkle.HashSize)...)
		if _, err := tlog.UnmarshalFrontier(b); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("size %d: %v", size, err)
		}
	}
	longest := binary.BigEndian.AppendUint64(nil, tlog.MaxTreeSize-1)
	longest = append(longest, make([]byte, tlog.MaxFrontierBytes-8)...)
	huge, err := tlog.UnmarshalFrontier(longest)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		huge.Append(merkle.Hash{}) // carries through all levels
	}
	if huge.Size() != tlog.MaxTreeSize+2 {
		t.Errorf("size %d", huge.Size())
	}
}

func FuzzUnmarshalFrontier(f *testing.F) {
	var frontier tlog.Frontier
	for _, leaf := range testLeaves(11) {
		f.Add(frontier.Marshal())
		frontier.Append(leaf)
	}
	f.Add(binary.BigEndian.AppendUint64(nil, ^uint64(0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		frontier, err := tlog.UnmarshalFrontier(b)
		if err != nil {
			if !errors.Is(err, tlog.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if again := frontier.Marshal(); !bytes.Equal(again, b) {
			t.Fatalf("%x is read, but written as %x", b, again)
		}
		frontier.Root()
		frontier.Append(merkle.Hash{})
	})
}
