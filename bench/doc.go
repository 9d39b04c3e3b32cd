// Package bench holds what measures the whole: the HTTP load side by side with a bare handler (bench/load, bench/bare),
// three nodes side by side with three etcd members (bench/peers, a module of its own), and the storage engine side by side
// with Pebble (bench/peers/engine), the cold tier side by side with its own store (bench/cold, a module of its own).
// What they share stands in bench/dataset and bench/phase.
// Benchmarks of single packages stand in the packages.
package bench
