//go:build race

package merkle_test

// sizeStride thins out the sizes under the race detector, which these single-threaded checks have no use for.
const sizeStride = 7
