// Package phase runs the phases of a benchmark in processes of their own, so that one leaves the next no memory, no cache and
// no goroutine, and writes down what they have measured.
package phase
