// Package transport carries raft messages and opaque payloads between the members of a cluster, over TCP or TLS. The
// format is in docs/format/transport.md.
//
// It knows who the members are (SetPeers) and what a raft message looks like; what a request or a bulk payload means is
// the node's business. For each peer it keeps two connections, dialled by the sender: one for messages and requests,
// one for bulk, so that a snapshot never delays a heartbeat. A connection carries frames one way; the other way goes
// only the sign that they arrive.
//
// # Goroutines
//
// One accepts. Each connection that was accepted has one, which reads it and calls the Handler. Each peer and class has
// one sender, which dials, writes what is queued and dials again; while it is connected it has one more, which listens
// for the sign of life. Close ends and joins all of them.
//
// # Invariants
//
//   - A frame is delivered at most once. It is written to one connection only, and a connection takes each number once.
//   - The frames of one sender and class arrive in the order in which they were handed over, with gaps: an older
//     connection of the same sender and class is ended, and its reader gone, before a newer one is accepted.
//   - Nothing reaches the Handler but from a connection whose hello was accepted: this cluster, meant for this node,
//     from another id, admitted by Options.Admit. A message's From, To and cluster are those of its connection.
//   - A frame passes only if its checksums hold under the connection's own salt, drawn anew by both sides, and its
//     number is the next. The first frame that does not ends the connection.
//   - Nothing blocks a caller. Queues are bounded by frames and bytes; what finds no room is dropped and counted. The
//     message and its entries must not change after they were handed over: they are encoded later.
//   - Memory that a stranger can take is bounded: the number of connections, the hello, and for a payload no more than
//     what has arrived of it and as much again.
//
// The checksums find accidents, not forgery: whoever can write to the network can speak for a member unless TLS with
// certificates on both sides is configured. There is no fallback from TLS to plain TCP.
//
// The caller must not block in the Handler: it holds up what follows on that connection, and Close.
package transport
