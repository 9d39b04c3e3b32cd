package segfile

// Compression picks how a Writer compresses blocks. The zero value is the default.
type Compression uint8

const (
	// DefaultCompression is S2, by measurement: see docs/benchmarks.md.
	DefaultCompression Compression = iota
	// NoCompression stores every block as it is.
	NoCompression
	// S2 is the fast method.
	S2
	// Zstd is the dense method.
	Zstd
)
