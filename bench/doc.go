// Package bench holds what measures the whole: the HTTP load side by side with a bare handler (bench/load, bench/bare),
// and three nodes side by side with three etcd members (bench/peers, a module of its own).
// Benchmarks of single packages stand in the packages.
package bench
