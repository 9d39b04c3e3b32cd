package ledger

import (
	"testing"

	"github.com/scribe-ledger/scribe/manifest"
)

// BenchmarkMerge is a merge of four segments, whose keys are all over each other's.
func BenchmarkMerge(b *testing.B) {
	l := filled(b, 4)
	inputs := l.peek().tables
	span := manifest.Range{FirstSeq: inputs[0].first, LastSeq: inputs[len(inputs)-1].last}
	entries := int64(span.LastSeq - span.FirstSeq + 1)
	b.SetBytes(entries * (16 + 256))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.writeMerged(l.segmentFile("merge")+temporarySuffix, span, inputs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(int64(b.N)*entries), "ns/entry")
}
