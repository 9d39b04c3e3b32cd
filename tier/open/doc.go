// Package open makes the object store that a configuration or a bucket URL names.
//
// A store is opened without a word to it: that it is away, refuses the credentials or has no such bucket shows with its
// first use, and is then the business of whoever uses it. So a node starts, and takes writes, without its store. What
// can never work (a bucket without a name, a prefix that is none) is refused here.
//
// The package owns no goroutine. The caller ends a store with Close once nothing uses it any more.
package open
