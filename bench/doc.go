// Package bench holds what measures the whole: the HTTP load side by side with a bare handler (bench/load, bench/bare),
// three nodes side by side with three etcd members (bench/peers, a module of its own), and the storage engine side by side
// with Pebble (bench/peers/engine).
// Benchmarks of single packages stand in the packages.
package bench
