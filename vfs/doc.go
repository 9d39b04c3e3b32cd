// Package vfs is the only package that makes file system calls. It has one interface, FS, and three implementations:
//
//   - OS makes the real calls: fdatasync, fallocate, mmap, msync, flock.
//   - Mem keeps files in memory and knows which of their bytes a power cut would take. CrashClone gives the file
//     system as it may stand after one.
//   - Inject wraps either and lets a test fail any call, or look at the state just before it.
//
// What callers can rely on:
//
//   - Durability is explicit. Data is durable after File.Sync or Mapping.Sync returned nil, a name after SyncDir of its
//     directory returned nil. Mem takes everything else away when asked to; it is harsher than ext4, which often keeps
//     more than it promised.
//   - Space is explicit. After Preallocate returned nil, a store into a mapping of that range cannot meet a full disk.
//   - Mapping.Sync makes bytes durable, not the file's size. A file that grew needs File.Sync once before it is mapped.
//
// What callers must not do: retry a failed Sync and trust the second answer (the kernel may have dropped the pages);
// touch the bytes of a Mapping after its Close; truncate a file below a live mapping; write to a file while Preallocate
// runs on it.
//
// The package starts no goroutine. A File may be used by many goroutines at once; whoever opened it closes it.
package vfs
