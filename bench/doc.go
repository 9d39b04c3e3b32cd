// Package bench holds what measures the whole: the HTTP load side by side with a bare handler (bench/load, bench/bare).
// Benchmarks of single packages stand in the packages.
package bench
