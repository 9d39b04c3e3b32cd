// Package cold measures the cold tier against the store that it uses: versitygw, which the benchmark starts in a process of
// its own, with data in a directory of its own.
//
//	go test -C bench/cold -run '^$' -bench Cold -timeout 0 . -args -entries 2000000
//
// and one part at a time: -bench 'Cold/point', scan, upload, restore or writes.
//
// # What is compared
//
// Every ratio is to what the same store gives to the plainest client of it, in the same run:
//
//   - point: ledger.Get of a key whose segment is in the store only, with the block cache off and no cache of ranges,
//     beside a GET of the range that this read asks for, through the same client. The requests are counted where they leave
//     the process, and their answers where they come in.
//   - scan: all entries of such a ledger in order of keys, beside parallel GETs of the same blocks.
//   - upload: segment files by tier.Uploader, two at a time as a node has it, beside the SDK's transfer manager, as it
//     comes, two files at a time. The uploader hashes each file before it sends it, sends it under conditions, and reads
//     every byte back. Shown are the puts alone, the reading back alone, both together, and both with what the daemon
//     does first: the file held against the segment's root.
//   - restore: a new node that begins with what is published and fetches all of it, verified, beside parallel GETs of the
//     same objects into files; and how long such a node takes to its first read when it fetches nothing.
//   - writes: durable writes at an even rate into a node that uploads what it seals, while the store works, answers 503 to
//     everything, answers nothing, or works again after either. The conditions take turns; quantiles are over all turns of
//     one. Left out, and counted, are the five seconds in which other machines on the host took more than 1 % of the
//     processors: they do so for minutes at a time, and it would be in one condition's figures and not in the other's.
//
// # How
//
// As in bench/peers/engine, each measurement runs in a process of its own, the test binary again with -child, and the sides
// change their order from round to round; medians over the rounds are compared. The store's files are in the page
// cache as far as it reaches, for both sides. Client and store share the machine's processors, so what either burns slows
// down the other; on a machine with few of them this is a comparison of work done.
//
// A store on the same machine gives bytes faster than any network, and takes processor time from its client. -delay and
// -mbps put it farther away, for scan and restore on both sides: -delay 15ms -mbps 100.
//
// It is a module of its own: the transfer manager stays out of the ledger's go.mod.
//
// # Ownership
//
// A lab owns the store's process and one temporary directory, and ends both. A child leaves nothing but objects.
package cold
