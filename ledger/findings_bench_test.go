package ledger

import "testing"

// BenchmarkConditional is what a write with one condition costs beside a plain put: Check, on the node that it comes to, and
// Apply, on every member, with findings and without.
func BenchmarkConditional(b *testing.B) {
	for _, place := range benchPlaces {
		l := filled(b, place.segments)
		commands := make([]*Command, 1<<12)
		for i := range commands {
			key := benchKey(i * 7919 % benchEntries)
			commands[i] = &Command{Ops: []WriteOp{{Op: 1, Key: key, Value: key,
				Conditions: []Condition{{Kind: IfMatch, Any: true}}}}}
		}
		b.Run("check/"+place.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := l.Check(b.Context(), commands[i%len(commands)]); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, found := range []bool{true, false} {
			b.Run(map[bool]string{true: "found/", false: "unfound/"}[found]+place.name, func(b *testing.B) {
				benchConditional(b, l, commands, found)
			})
		}
	}
}

// benchConditional judges commands and applies none, so that the ledger stays as it is.
func benchConditional(b *testing.B, l *Ledger, commands []*Command, found bool) {
	encoded := make([][]byte, len(commands))
	for i, cmd := range commands {
		var f Findings
		var err error
		if found {
			if f, err = l.Check(b.Context(), cmd); err != nil {
				b.Fatal(err)
			}
		}
		if encoded[i], err = EncodeFound(cmd, f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c := &l.command
		if err := c.decode(encoded[i%len(encoded)]); err != nil {
			b.Fatal(err)
		}
		if out, err := l.judgeApplied(&c.write, c.found); out != nil || err != nil {
			b.Fatal(out, err)
		}
		c.forget()
	}
}
