// Package engine measures the storage engine of one node beside Pebble v2, with the same entries, on the same machine,
// in one run:
//
//	go test -C bench/peers -run '^$' -bench Engine -timeout 0 ./engine -args -entries 10000000
//
// # What is compared
//
// Ours is a node with a sole voter, over the log and the ledger: every write is hashed into the ledger tree, every
// segment carries its Merkle tree, each write is durable before it is acknowledged. Reads go to the ledger. Pebble has
// none of the hashing; its writes are Sync for the durable ones and NoSync for the bulk load.
//
// Both get the same keys (16 bytes, in random order), the same values (256 bytes of which half is random and the other
// half repeats it), 64 MiB memtables of which four may wait, the same block cache, and Snappy or S2, the fast pair of
// either. Pebble gets a Bloom filter of 10 bits a key on each level, as its users do, and its newest format; all else is
// as it comes, block sizes included (4 KiB there, 16 KiB here). Both are settled before they are read: memtables flushed,
// the compactions done that each thinks are due.
//
// # How
//
// Each measurement runs in a process of its own, the test binary again with -side and -phase, so that peak memory and
// I/O are those of one side alone; a phase is run for the one side, then for the other, in the opposite order in the next
// round. Medians over the rounds are compared. Beside the time that passed there is the processor time of the whole
// process, which says more on a machine that others use.
//
// Bytes written are those of write calls (wchar of /proc/self/io), zeros for preallocation included; the kernel's count
// of bytes for the device is of no use where the page cache has large folios, each dirtied as a whole. Bytes read at open are the device's, after the files were dropped from the page cache.
//
// A third side, device, is no engine: it does to the disk what durable writes need of it (a group at a time into log files
// that are filled already, and three times the bytes into tables beside), and gives the tail that no engine can be below:
//
//	go test -C bench/peers -run '^$' -bench Engine -timeout 0 ./engine -args -soak 10m -rounds 1 -phases durable -sides pebble,scribe,device
//
// # Ownership
//
// Run makes one temporary directory and removes it. A child leaves the data for the next one.
package engine
