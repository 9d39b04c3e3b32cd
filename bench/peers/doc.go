// Command peers measures three scribe-node processes beside three etcd members, on one machine, in the same run:
// durable PUTs of 16-byte keys and 256-byte values, and linearizable GETs of keys that exist, from connections spread
// evenly over the members. Both clusters stay up for the whole run and take turns under load, so that a change of the
// machine's speed meets both; the medians over the rounds are compared.
//
// It is a module of its own: etcd's dependencies stay out of the ledger's go.mod.
//
// # What makes the comparison fair
//
// Clients share the cores with the servers, so a costly client would decide the result. Both systems are therefore
// driven by one event loop on one thread (loop.go) that speaks HTTP/1.1 (http1.go) or gRPC (grpc.go) with no library
// between it and the socket; it builds a request and checks an answer in about the same time for either. etcd is also
// driven by its own Go client (clientv3.go) and by generated stubs without it, and the ratio is taken to whichever of
// the drivers that were asked for makes etcd fastest. A gRPC connection carries several requests at a time: -etcd-conns
// says over how many connections etcd's callers are spread, and what suits etcd best is the default.
//
// The CPU time of servers and of clients is read from /proc and reported apart, with that of the cluster that is not
// under load. Every member is a process with its own data directory; nothing is set but addresses, directory and log
// level, so what is measured is what each system does by default: etcd syncs each batch of writes, and so does Scribe.
//
// # Ownership
//
// Run owns the processes and ends them. A driver owns its connections for the length of one run and leaves no goroutine
// and no open connection behind.
package main
