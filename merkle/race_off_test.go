//go:build !race

package merkle_test

// sizeStride is 1: every size is checked.
const sizeStride = 1
