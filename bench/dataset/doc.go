// Package dataset makes the entries that benchmarks store: the same ones for every side and every run.
package dataset
