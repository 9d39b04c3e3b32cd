package tlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"golang.org/x/mod/sumdb/note"
	sumdb "golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

const checkpointText = "example.com/log\n42\nY4XfX1xV18MKG1W+/iQ0R1WkS2gKzkQ1WpmFT8m3pAM=\n"

// A checkpoint reads as that of x/mod does but for its origin, and survives being written.
func TestCheckpointAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := tlog.Checkpoint{
			Origin: rapid.StringMatching(`[a-zA-Z0-9./+ €]{1,60}`).Draw(t, "origin"),
			Size:   rapid.Uint64Range(0, 1<<63-1).Draw(t, "size"),
			Root:   merkle.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "root")),
		}
		text, err := c.Text()
		if err != nil {
			t.Fatal(err)
		}
		theirs := string(sumdb.FormatTree(sumdb.Tree{N: int64(c.Size), Hash: sumdb.Hash(c.Root)}))
		if want := strings.Replace(theirs, "go.sum database tree", c.Origin, 1); text != want {
			t.Fatalf("%q, want %q", text, want)
		}
		got, signatures, err := tlog.ParseCheckpoint(text)
		if err != nil || got != c || signatures != "" {
			t.Fatalf("%q: %+v, %q, %v", text, got, signatures, err)
		}
	})
}

// Signatures come back as they stood, so that text and signatures make the note again.
func TestCheckpointWithSignatures(t *testing.T) {
	var signers []note.Signer
	for _, name := range []string{"example.com/log", "witness"} {
		private, _, err := note.GenerateKey(strings.NewReader(strings.Repeat(name, 10)), name)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := note.NewSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, signer)
		signed, err := note.Sign(&note.Note{Text: checkpointText}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		c, signatures, err := tlog.ParseCheckpoint(string(signed))
		if err != nil || c.Size != 42 || c.Origin != "example.com/log" {
			t.Fatalf("%q: %+v, %v", signed, c, err)
		}
		if strings.Count(signatures, "\n") != len(signers) {
			t.Errorf("signatures %q", signatures)
		}
		if text, err := c.Text(); err != nil || text+"\n"+signatures != string(signed) {
			t.Errorf("%q, %v and %q do not make %q", text, err, signatures, signed)
		}
	}
}

func TestCheckpointRefuses(t *testing.T) {
	if _, _, err := tlog.ParseCheckpoint(checkpointText); err != nil {
		t.Fatal(err)
	}
	for n := range checkpointText {
		if _, _, err := tlog.ParseCheckpoint(checkpointText[:n]); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("cut to %q: %v", checkpointText[:n], err)
		}
	}
	for _, c := range []struct{ name, old, new string }{
		{"no origin", "example.com/log", ""},
		{"origin that is no UTF-8", "example", "\xff"},
		{"origin with a control character", "example", "ex\tample"},
		{"carriage return", "log\n", "log\r\n"},
		{"leading zero", "42", "042"},
		{"plus sign", "42", "+42"},
		{"negative size", "42", "-1"},
		{"no size", "42", ""},
		{"hexadecimal size", "42", "0x2a"},
		{"size beyond 64 bits", "42", "18446744073709551616"},
		{"short root", "Y4XfX1xV", "X1xV"},
		{"root without padding", "=\n", "\n"},
		{"root with stray bits", "pAM=", "pAN="},
		{"root with a line break", "X1xV", "X1\rxV"},
		{"root in URL alphabet", "+/iQ", "-_iQ"},
		{"extension line", "pAM=\n", "pAM=\nmore\n"},
		{"blank line without signatures", "pAM=\n", "pAM=\n\n"},
		{"no blank line before signatures", "pAM=\n", "pAM=\n— a b\n"},
		{"signature without an end", "pAM=\n", "pAM=\n\n— a b"},
		{"text after signatures", "pAM=\n", "pAM=\n\n— a b\nmore\n"},
		{"a second blank line", "pAM=\n", "pAM=\n\n\n— a b\n"},
		{"signatures beyond the bound", "pAM=\n", "pAM=\n\n" + strings.Repeat("— a b\n", tlog.MaxCheckpointBytes/8)},
	} {
		if strings.Count(checkpointText, c.old) != 1 {
			t.Fatalf("%s changes nothing", c.name)
		}
		text := strings.Replace(checkpointText, c.old, c.new, 1)
		if got, _, err := tlog.ParseCheckpoint(text); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	for _, origin := range []string{"", "two\nlines", "\xff", "\x00"} {
		if _, err := (&tlog.Checkpoint{Origin: origin}).Text(); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("origin %q: %v", origin, err)
		}
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(checkpointText)
	f.Add(checkpointText + "\n— example.com/log AAAAAAAA\n")
	f.Add("o\n18446744073709551615\n")
	f.Fuzz(func(t *testing.T, s string) {
		c, signatures, err := tlog.ParseCheckpoint(s)
		if err != nil {
			if !errors.Is(err, tlog.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		text, err := c.Text()
		if err != nil {
			t.Fatal(err)
		}
		if signatures != "" {
			text += "\n" + signatures
		}
		if text != s {
			t.Fatalf("%q is read, but written as %q", s, text)
		}
	})
}
