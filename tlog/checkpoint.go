package tlog

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scribe-ledger/scribe/merkle"
)

// MaxCheckpointBytes bounds a checkpoint with its signatures. One signature line takes about 150 bytes.
const MaxCheckpointBytes = 64 << 10

// sigPrefix opens each signature line of a C2SP signed note: an em dash and a space.
const sigPrefix = "— "

// Checkpoint says what a log's tree was at one size (C2SP tlog-checkpoint, without extension lines).
type Checkpoint struct {
	Origin string // names the log: not empty, one line, no control characters
	Size   uint64
	Root   merkle.Hash
}

// Text is the body of the checkpoint's note: origin, size and base64 root, a line each. It returns ErrMalformed for an
// origin that cannot stand there.
func (c *Checkpoint) Text() (string, error) {
	if err := checkOrigin(c.Origin); err != nil {
		return "", err
	}
	root := base64.StdEncoding.EncodeToString(c.Root[:])
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + root + "\n", nil
}

// ParseCheckpoint reads what Text writes, followed by nothing or by a blank line and signature lines. Those are
// returned as they stand, "" when there are none: nothing is verified here. It returns ErrMalformed for any other text.
func ParseCheckpoint(note string) (c Checkpoint, signatures string, err error) {
	if len(note) > MaxCheckpointBytes {
		return Checkpoint{}, "", fmt.Errorf("%w: checkpoint of %d bytes, want at most %d",
			ErrMalformed, len(note), MaxCheckpointBytes)
	}
	origin, rest, ok1 := strings.Cut(note, "\n")
	size, rest, ok2 := strings.Cut(rest, "\n")
	root, rest, ok3 := strings.Cut(rest, "\n")
	if !ok1 || !ok2 || !ok3 {
		return Checkpoint{}, "", fmt.Errorf("%w: checkpoint of fewer than three lines", ErrMalformed)
	}
	if err := checkOrigin(origin); err != nil {
		return Checkpoint{}, "", err
	}
	c.Origin = origin
	c.Size, err = strconv.ParseUint(size, 10, 64)
	if err != nil || strconv.FormatUint(c.Size, 10) != size {
		return Checkpoint{}, "", fmt.Errorf("%w: checkpoint size %.30q", ErrMalformed, size)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(root)
	// Encoding it again catches the line breaks that the decoder skips.
	if err != nil || len(b) != merkle.HashSize || base64.StdEncoding.EncodeToString(b) != root {
		return Checkpoint{}, "", fmt.Errorf("%w: checkpoint root %.60q", ErrMalformed, root)
	}
	c.Root = merkle.Hash(b)
	if rest == "" {
		return c, "", nil
	}
	signatures, blank := strings.CutPrefix(rest, "\n")
	if !blank || !areSignatures(signatures) {
		return Checkpoint{}, "", fmt.Errorf("%w: what follows the checkpoint are no signatures", ErrMalformed)
	}
	return c, signatures, nil
}

// areSignatures says whether s is one or more signature lines, by their looks.
func areSignatures(s string) bool {
	if !strings.HasSuffix(s, "\n") || !utf8.ValidString(s) {
		return false
	}
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, sigPrefix) {
			return false
		}
	}
	return true
}

// checkOrigin refuses what a signed note may not hold in one line of text.
func checkOrigin(origin string) error {
	if origin == "" || !utf8.ValidString(origin) {
		return fmt.Errorf("%w: checkpoint origin %.60q", ErrMalformed, origin)
	}
	for _, r := range origin {
		if r < 0x20 || r == 0x7f {
			return fmt.Errorf("%w: checkpoint origin %.60q has control characters", ErrMalformed, origin)
		}
	}
	return nil
}
